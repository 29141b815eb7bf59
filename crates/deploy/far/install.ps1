# Installs this package. By hand, in an administrator's PowerShell:
#     powershell -ExecutionPolicy Bypass -File install.ps1 -Plan plan.json
# Without a plan nothing changes until one is applied. The work is done by a task of SYSTEM;
# without a confirmation in time it takes everything back. Nothing here has run on
# Windows yet (docs/deploy.md).
param(
    [string]$Plan = '', [int]$ConfirmWithin = 120, [string]$Id = 'by-hand',
    [switch]$Restart, [switch]$NoWait
)
. "$PSScriptRoot\far\runner.ps1"
if ($Plan -eq '') { $Plan = "$env:IM_FROM\plan.json" }
$env:IM_PLAN = $Plan

$Steps = @(
    #STEPS:begin#
)

$fresh = -not (Test-Path -LiteralPath "$env:IM_WORK\installed.txt")
New-Item -ItemType Directory -Force $env:IM_WORK | Out-Null
$before = Read-Json "$env:IM_WORK\status.json"
if ($null -ne $before -and @('begun', 'working', 'waiting', 'restart', 'rolling-back', 'removing') -contains $before.state -and $before.id -ne $Id) {
    '{"state":"busy"}'
    exit 1
}
$options = [ordered]@{ id = $Id; confirmWithin = $ConfirmWithin; restart = [bool]$Restart }
Write-Whole "$env:IM_WORK\options.json" (ConvertTo-Json $options)
Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath "$env:IM_WORK\restart.txt"
Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath "$env:IM_WORK\confirmed.json"
Set-Status 'begun'
$failed = Invoke-Steps $Steps "$env:IM_WORK\begin.journal"
if ($null -ne $failed) {
    Undo-Steps $Steps "$env:IM_WORK\begin.journal"
    Set-Status 'not-begun' $failed.Step $failed.Reason
    Get-Content -Raw -LiteralPath "$env:IM_WORK\status.json"
    if ($fresh) { Remove-Item -Recurse -Force -LiteralPath $env:IM_WORK }
    exit 1
}
Remove-Item -Force -LiteralPath "$env:IM_WORK\begin.journal"
if ($NoWait) {
    Get-Content -Raw -LiteralPath "$env:IM_WORK\status.json"
    exit 0
}
while ($true) {
    $status = Read-Json "$env:IM_WORK\status.json"
    Write-Host "$($status.state) $($status.step) $($status.reason)"
    if ($status.state -eq 'waiting') { break }
    if (@('begun', 'working') -notcontains $status.state) { exit 1 }
    Start-Sleep -Seconds 2
}
if ((Read-Host 'Keep it? (y)') -eq 'y') { & "$Far\confirm.ps1" -Id $Id }
