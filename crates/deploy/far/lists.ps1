# What a step can run over: each list is an array of tables of variables. They only read.

$Stores = 'HKLM:\SOFTWARE\Microsoft\SystemCertificates'

# Certificates of the package, with their thumbprints.
function Get-Certificates {
    param([string[]]$Files)
    foreach ($file in $Files) {
        $path = "$env:IM_PACKAGE\$file"
        if (Test-Path -LiteralPath $path) {
            $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 $path
            @{ IM_CERT = $path; IM_THUMBPRINT = $certificate.Thumbprint }
        }
    }
}

# Those that the store lacks; which package wanted them is noted for the removal.
function Get-Missing {
    param([string[]]$Files, [string]$Store)
    foreach ($entry in @(Get-Certificates $Files)) {
        $mark = "$env:SystemRoot\RustIM\trust\$Store\$($entry.IM_THUMBPRINT)"
        $there = Test-Path "$Stores\$Store\Certificates\$($entry.IM_THUMBPRINT)"
        if (-not $there -or (Test-Path $mark)) {
            New-Item -ItemType Directory -Force $mark | Out-Null
            Set-Content -Encoding ASCII -LiteralPath "$mark\$($Info.driver)" -Value 'needed'
        }
        if (-not $there) { $entry }
    }
}

# Those that were put there and that no other package of ours needs.
function Get-Added {
    param([string[]]$Files, [string]$Store)
    foreach ($entry in @(Get-Certificates $Files)) {
        $mark = "$env:SystemRoot\RustIM\trust\$Store\$($entry.IM_THUMBPRINT)"
        if (-not (Test-Path "$mark\$($Info.driver)")) { continue }
        if (@(Get-ChildItem -LiteralPath $mark).Count -gt 1) { continue }
        if (Test-Path "$Stores\$Store\Certificates\$($entry.IM_THUMBPRINT)") { $entry }
    }
}

# Which miniport stands for which adapter, of the plan that was applied.
function Get-Applied {
    $applied = Read-Json "$env:IM_PACKAGE\applied.json"
    if ($null -ne $applied -and $applied.PSObject.Properties['miniports']) { $applied.miniports }
}

# Settings that were made by hand on adapters, each with the index of the first miniport
# that stands for its adapter now.
function Get-Carried {
    param([string]$Kind)
    $ip = Read-Json "$env:IM_WORK\before\ip.json"
    if ($null -eq $ip) { return }
    $taken = @()
    foreach ($miniport in @(Get-Applied)) {
        $adapter = Get-NetAdapter -IncludeHidden | Where-Object InterfaceGuid -eq $miniport.guid
        foreach ($guid in @($miniport.adapters)) {
            if ($taken -contains $guid) { continue }
            $taken += $guid
            foreach ($item in @($ip.$Kind)) {
                if ($item.adapter -eq $guid) {
                    [pscustomobject]@{ Index = $adapter.InterfaceIndex; Item = $item }
                }
            }
        }
    }
}

function Get-List {
    param([string]$List)
    switch ($List) {
        'roots' { Get-Missing $Info.roots 'ROOT' }
        'publishers' { Get-Missing $Info.publishers 'TrustedPublisher' }
        'added-roots' { Get-Added $Info.roots 'ROOT' }
        'added-publishers' { Get-Added $Info.publishers 'TrustedPublisher' }
        'published' {
            $pattern = '^\s*CatalogFile\S*\s*=\s*' + $Info.driver + '(_mp)?\.cat\s*$'
            Get-ChildItem "$env:SystemRoot\INF\oem*.inf" | Sort-Object Name |
                Where-Object { Select-String -Quiet -Pattern $pattern -LiteralPath $_.FullName } |
                ForEach-Object { @{ IM_OEM = $_.Name } }
        }
        'miniports' { foreach ($m in @(Get-Applied)) { @{ IM_GUID = $m.guid } } }
        'addresses' {
            foreach ($c in @(Get-Carried 'addresses')) {
                @{ IM_FAMILY = $c.Item.family; IM_INDEX = $c.Index; IM_ADDRESS = $c.Item.address }
            }
        }
        'routes' {
            foreach ($c in @(Get-Carried 'routes')) {
                @{
                    IM_FAMILY = $c.Item.family; IM_INDEX = $c.Index; IM_PREFIX = $c.Item.prefix
                    IM_NEXTHOP = $c.Item.nexthop; IM_METRIC = $c.Item.metric
                }
            }
        }
        'name-servers' {
            foreach ($c in @(Get-Carried 'nameServers')) {
                @{ IM_FAMILY = $c.Item.family; IM_INDEX = $c.Index; IM_SERVER = $c.Item.address }
            }
        }
        'gateways' {
            foreach ($c in @(Get-Carried 'gateways')) { @{ IM_GATEWAY = $c.Item.address } }
        }
        'left-keys' {
            # Without a whole backup nobody knows, and nothing has changed.
            if (-not (Test-Path -LiteralPath "$env:IM_WORK\before\complete.txt")) { return }
            # Keys that were not there before and that belong to no adapter now.
            $before = @(Get-Content -LiteralPath "$env:IM_WORK\before\interfaces.txt" | ForEach-Object { ($_ -split '\\')[-1] })
            $adapters = @(Get-NetAdapter -IncludeHidden | ForEach-Object { $_.InterfaceGuid })
            foreach ($service in @('Tcpip', 'Tcpip6')) {
                $root = "SYSTEM\CurrentControlSet\Services\$service\Parameters\Interfaces"
                foreach ($key in @(Get-ChildItem "HKLM:\$root" -ErrorAction SilentlyContinue)) {
                    $guid = $key.PSChildName
                    if ($before -notcontains $guid -and $adapters -notcontains $guid) {
                        @{ IM_KEY = "HKLM\$root\$guid" }
                    }
                }
            }
        }
        default { throw "no list $List" }
    }
}
