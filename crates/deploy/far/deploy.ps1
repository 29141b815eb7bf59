# The work, by the task of SYSTEM. Nothing here has run on Windows yet (docs/deploy.md).
param([switch]$Rollback, [switch]$Nested)
. "$PSScriptRoot\runner.ps1"
. "$PSScriptRoot\compare.ps1"

$Steps = @(
    #STEPS:deploy#
)

# Called by the steps of another package, which is to be taken back.
if ($Nested) {
    $own = @($Steps | Where-Object { $_.Id -ne 'remove-previous' })
    Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath "$env:IM_WORK\nested.journal"
    $failed = Invoke-Steps $own "$env:IM_WORK\nested.journal"
    if ($null -ne $failed) { Write-Output "$($failed.Step): $($failed.Reason)"; exit 1 }
    exit 0
}

$journal = "$env:IM_WORK\deploy.journal"
function Restore-Before {
    param([string]$Step, [string]$Reason)
    Set-Status 'rolling-back' $Step $Reason
    Undo-Steps $Steps $journal
    if (Test-Path -LiteralPath "$env:IM_WORK\previous") {
        Remove-Item -Recurse -Force -LiteralPath "$env:IM_WORK\package"
        Move-Item -LiteralPath "$env:IM_WORK\previous" -Destination "$env:IM_WORK\package"
    }
    $difference = @()
    if (-not (Test-Path -LiteralPath "$env:IM_WORK\installed.txt")) {
        $difference = Get-Differences $Compare
        Clear-Marks
    }
    Set-Status 'rolled-back' $Step $Reason $difference
}

if ($Rollback) {
    $status = Read-Json "$env:IM_WORK\status.json"
    Restore-Before $status.step 'the work was cut off, or nobody confirmed'
    exit 1
}

New-Item -ItemType Directory -Force "$env:IM_WORK\before" | Out-Null
Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath "$env:IM_WORK\restart.txt"
Set-Status 'working'
$options = Read-Json "$env:IM_WORK\options.json"
$failed = Invoke-Steps $Steps $journal
if ($null -ne $failed) {
    if ($failed.Reason -eq 'restart' -and $options.restart) {
        Set-Status 'restart' $failed.Step 'Windows asks for a restart'
        Invoke-Line 'shutdown.exe /r /t 5' | Out-Null
        exit 0
    }
    if ($failed.Reason -eq 'restart') { $failed.Reason = 'Windows asks for a restart' }
    Restore-Before $failed.Step $failed.Reason
    exit 1
}

$deadline = (Get-Date).AddSeconds($options.confirmWithin)
Set-Status 'waiting'
while ((Get-Date) -lt $deadline) {
    $confirmed = Read-Json "$env:IM_WORK\confirmed.json"
    if ($null -ne $confirmed -and $confirmed.id -eq $options.id) {
        Set-Content -Encoding ASCII -LiteralPath "$env:IM_WORK\installed.txt" -Value $options.id
        if (Test-Path -LiteralPath "$env:IM_WORK\previous") {
            Remove-Item -Recurse -Force -LiteralPath "$env:IM_WORK\previous"
        }
        Remove-Item -Force -LiteralPath $journal
        Set-Status 'confirmed'
        exit 0
    }
    Start-Sleep -Seconds 1
}
Restore-Before 'confirm' "no confirmation within $($options.confirmWithin) s"
exit 1
