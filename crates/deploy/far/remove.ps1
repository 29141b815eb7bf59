# Removes, by the task of SYSTEM. A step that fails does not end the others: the comparison
# says what is left, and the removal can be repeated.
# Nothing here has run on Windows yet (docs/deploy.md).
param([switch]$Nested)
. "$PSScriptRoot\runner.ps1"
. "$PSScriptRoot\compare.ps1"

$Steps = @(
    #STEPS:remove#
)

$first = $null
foreach ($step in $Steps) {
    $reason = Invoke-Step $step
    if ($reason -ne '') {
        Write-Log "$($step.Id) failed: $reason"
        if ($null -eq $first) { $first = [pscustomobject]@{ Step = $step.Id; Reason = $reason } }
    }
}
if ($Nested) {
    if ($null -ne $first) { Write-Output "$($first.Step): $($first.Reason)"; exit 1 }
    exit 0
}
$difference = Get-Differences $Compare
if ($null -eq $first -and $difference.Count -eq 0) {
    Remove-Item -Force -LiteralPath "$env:IM_WORK\installed.txt"
    Clear-Marks
    Set-Status 'removed'
    exit 0
}
if ($null -eq $first) { $first = [pscustomobject]@{ Step = 'compare'; Reason = 'something differs from the backup' } }
Set-Status 'left' $first.Step $first.Reason $difference
exit 1
