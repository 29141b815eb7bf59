# What the machine is like, as JSON. It only reads, and judges nothing.
# Nothing here has run on Windows yet (docs/deploy.md).
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$info = Get-Content -Raw -Encoding UTF8 "$PSScriptRoot\driver.json" | ConvertFrom-Json

function Read-Value {
    param([string]$Path, [string]$Name)
    $item = Get-ItemProperty -LiteralPath $Path -ErrorAction SilentlyContinue
    if ($null -ne $item -and $item.PSObject.Properties[$Name]) { $item.$Name } else { $null }
}

$control = 'HKLM:\SYSTEM\CurrentControlSet\Control'
$identity = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
$machine = $env:PROCESSOR_ARCHITECTURE
if (Test-Path Env:\PROCESSOR_ARCHITEW6432) { $machine = $env:PROCESSOR_ARCHITEW6432 }
$guard = Get-CimInstance -Namespace 'root\Microsoft\Windows\DeviceGuard' -ClassName Win32_DeviceGuard -ErrorAction SilentlyContinue
$disk = Get-CimInstance Win32_LogicalDisk -Filter "DeviceID='$env:SystemDrive'"

$pending = @()
if (Test-Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending') { $pending += 'component servicing' }
if (Test-Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired') { $pending += 'Windows Update' }
if ($null -ne (Read-Value "$control\Session Manager" 'PendingFileRenameOperations')) { $pending += 'files to be replaced' }

$own = ''
if (Test-Path Env:\SSH_CONNECTION) {
    $address = ($env:SSH_CONNECTION -split ' ')[2] -replace '%.*$', ''
    $found = @(Get-NetIPAddress -IPAddress $address -ErrorAction SilentlyContinue)
    if ($found.Count -gt 0) { $own = [string]$found[0].InterfaceIndex }
}

$adapters = @()
foreach ($adapter in @(Get-NetAdapter)) {
    $hardware = Get-NetAdapterHardwareInfo -Name $adapter.Name -ErrorAction SilentlyContinue
    $location = ''
    if ($null -ne $hardware) { $location = "pci:$($hardware.BusNumber):$($hardware.DeviceNumber).$($hardware.FunctionNumber)" }
    $bindings = @()
    foreach ($binding in @(Get-NetAdapterBinding -Name $adapter.Name -AllBindings -ErrorAction SilentlyContinue)) {
        $bindings += [ordered]@{ component = $binding.ComponentID; enabled = $binding.Enabled }
    }
    $adapters += [ordered]@{
        name = $adapter.Name; description = $adapter.InterfaceDescription; guid = $adapter.InterfaceGuid
        mac = [string]$adapter.PermanentAddress; location = $location; medium = [int]$adapter.NdisPhysicalMedium
        component = [string]$adapter.ComponentID; up = ([string]$adapter.Status -eq 'Up')
        connection = ([string]$adapter.InterfaceIndex -eq $own); bindings = $bindings
    }
}

$facts = [ordered]@{
    build = [Environment]::OSVersion.Version.Build
    architecture = $machine
    administrator = $identity.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    testSigning = ([string](Read-Value $control 'SystemStartOptions') -match 'TESTSIGNING')
    secureBoot = ((Read-Value "$control\SecureBoot\State" 'UEFISecureBootEnabled') -eq 1)
    memoryIntegrity = ($null -ne $guard -and @($guard.SecurityServicesRunning) -contains 2)
    freeBytes = [int64]$disk.FreeSpace
    pendingRestart = $pending
    installed = (Test-Path "HKLM:\SYSTEM\CurrentControlSet\Services\$($info.protocolService)")
    deployed = (Test-Path "$env:SystemRoot\RustIM\$($info.driver)\installed.txt")
    adapters = $adapters
}
ConvertTo-Json -Depth 6 $facts
