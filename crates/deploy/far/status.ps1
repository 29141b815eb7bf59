# The state of the deployment, as JSON. Nothing here has run on Windows yet.
. "$PSScriptRoot\runner.ps1"
if (Test-Path -LiteralPath "$env:IM_WORK\status.json") {
    Get-Content -Raw -LiteralPath "$env:IM_WORK\status.json"
} else {
    '{"state":"absent"}'
}
