# Addresses, routes and name servers that were set by hand, and the gateways in use.
# Only reads, and writes the file that it is told. Nothing here has run on Windows yet.
param([string]$Out)
. "$PSScriptRoot\runner.ps1"

$guids = @{}
foreach ($adapter in @(Get-NetAdapter -IncludeHidden)) { $guids[[int]$adapter.InterfaceIndex] = $adapter.InterfaceGuid }
function Get-Family {
    param($Item)
    if ([string]$Item.AddressFamily -eq 'IPv6') { return 'ipv6' }
    return 'ipv4'
}

$addresses = @(); $routes = @(); $servers = @(); $gateways = @()
foreach ($item in @(Get-NetIPAddress | Where-Object PrefixOrigin -eq 'Manual')) {
    $guid = $guids[[int]$item.InterfaceIndex]
    if ($null -eq $guid) { continue }
    $addresses += [ordered]@{ adapter = $guid; family = (Get-Family $item); address = "$($item.IPAddress)/$($item.PrefixLength)" }
}
foreach ($item in @(Get-NetRoute -PolicyStore PersistentStore -ErrorAction SilentlyContinue)) {
    $guid = $guids[[int]$item.InterfaceIndex]
    if ($null -eq $guid) { continue }
    $routes += [ordered]@{ adapter = $guid; family = (Get-Family $item); prefix = $item.DestinationPrefix; nexthop = $item.NextHop; metric = $item.RouteMetric }
}
foreach ($item in @(Get-NetRoute -DestinationPrefix '0.0.0.0/0' -ErrorAction SilentlyContinue)) {
    $guid = $guids[[int]$item.InterfaceIndex]
    if ($null -ne $guid) { $gateways += [ordered]@{ adapter = $guid; address = $item.NextHop } }
}
foreach ($pair in @(@('Tcpip', 'ipv4'), @('Tcpip6', 'ipv6'))) {
    foreach ($guid in $guids.Values) {
        $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$($pair[0])\Parameters\Interfaces\$guid"
        $value = Get-ItemProperty -LiteralPath $key -ErrorAction SilentlyContinue
        if ($null -eq $value -or -not $value.PSObject.Properties['NameServer']) { continue }
        foreach ($server in ($value.NameServer -split '[, ]+' | Where-Object { $_ -ne '' })) {
            $servers += [ordered]@{ adapter = $guid; family = $pair[1]; address = $server }
        }
    }
}
$all = [ordered]@{ result = 'state'; addresses = $addresses; routes = $routes; nameServers = $servers; gateways = $gateways }
Write-Whole $Out (ConvertTo-Json -Depth 5 $all)
