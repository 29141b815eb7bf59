# The plan for the notify object: as it is, but the confirmation is the task's business.
param([string]$In, [string]$Out)
. "$PSScriptRoot\runner.ps1"
$plan = Read-Json $In
if ($plan.driver -ne $Info.driver) { Write-Output "a plan for $($plan.driver)"; exit 1 }
$plan | Add-Member -Force -NotePropertyName 'confirm_within' -NotePropertyValue 0
Write-Whole $Out (ConvertTo-Json -Depth 20 $plan)
