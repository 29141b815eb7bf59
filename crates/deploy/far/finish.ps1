# Leaves nothing of a deployment that is gone. Nothing here has run on Windows yet.
. "$PSScriptRoot\runner.ps1"

$Steps = @(
    #STEPS:finish#
)

foreach ($step in $Steps) {
    $reason = Invoke-Step $step
    if ($reason -ne '') { Write-Output "$($step.Id): $reason"; exit 1 }
}
$parent = "$env:SystemRoot\RustIM"
foreach ($folder in @("$parent\trust\ROOT", "$parent\trust\TrustedPublisher", "$parent\trust", $parent)) {
    if ((Test-Path -LiteralPath $folder) -and @(Get-ChildItem -LiteralPath $folder).Count -eq 0) {
        Remove-Item -Force -LiteralPath $folder
    }
}
'{"state":"finished"}'
