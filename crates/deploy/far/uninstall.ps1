# Removes what install.ps1 installed, compares the machine with the backup, and says what
# differs. By hand: powershell -ExecutionPolicy Bypass -File uninstall.ps1
# Nothing here has run on Windows yet (docs/deploy.md).
param([switch]$NoWait)
. "$PSScriptRoot\far\runner.ps1"

$Steps = @(
    #STEPS:begin-removal#
)

if (-not (Test-Path -LiteralPath "$env:IM_WORK\installed.txt")) {
    $status = Read-Json "$env:IM_WORK\status.json"
    if ($null -ne $status -and @('begun', 'working', 'waiting', 'restart', 'rolling-back', 'removing') -contains $status.state) {
        '{"state":"busy"}'
        exit 1
    }
    '{"state":"absent"}'
    exit 0
}
Set-Status 'removing'
$failed = Invoke-Steps $Steps "$env:IM_WORK\begin.journal"
if ($null -ne $failed) {
    Undo-Steps $Steps "$env:IM_WORK\begin.journal"
    Set-Status 'not-begun' $failed.Step $failed.Reason
    Get-Content -Raw -LiteralPath "$env:IM_WORK\status.json"
    exit 1
}
Remove-Item -Force -LiteralPath "$env:IM_WORK\begin.journal"
if (-not $NoWait) {
    while ((Read-Json "$env:IM_WORK\status.json").state -eq 'removing') { Start-Sleep -Seconds 2 }
}
$status = Get-Content -Raw -LiteralPath "$env:IM_WORK\status.json"
$status
if (-not $NoWait -and ($status | ConvertFrom-Json).state -eq 'removed') { & "$Far\finish.ps1" }
