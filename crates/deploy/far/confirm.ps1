# Confirms: what was installed stays. Nothing here has run on Windows yet.
param([string]$Id = 'by-hand')
. "$PSScriptRoot\runner.ps1"
$status = Read-Json "$env:IM_WORK\status.json"
if ($null -ne $status -and $status.id -eq $Id -and $status.state -eq 'waiting') {
    Write-Whole "$env:IM_WORK\confirmed.json" (ConvertTo-Json @{ id = $Id })
    for ($i = 0; $i -lt 20 -and (Read-Json "$env:IM_WORK\status.json").state -eq 'waiting'; $i++) {
        Start-Sleep -Milliseconds 500
    }
}
& "$Far\status.ps1"
