# The states of the network configuration before and after, as JSON.
# Nothing here has run on Windows yet.
. "$PSScriptRoot\runner.ps1"
$now = "$env:IM_WORK\now.json"
Invoke-Line "start `"`" /wait rundll32.exe %IM_DLL%,State - $now" | Out-Null
$both = [ordered]@{ before = (Read-Json "$env:IM_WORK\before\state.json"); after = (Read-Json $now) }
ConvertTo-Json -Depth 20 $both
