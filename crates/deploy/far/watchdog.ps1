# At system start and beside every deployment: what was cut off is taken back, what was
# waiting for a restart goes on. Nothing here has run on Windows yet (docs/deploy.md).
. "$PSScriptRoot\runner.ps1"

function Test-Running {
    param([string]$Name)
    $task = Get-ScheduledTask -TaskPath '\RustIM\' -TaskName $Name -ErrorAction SilentlyContinue
    $null -ne $task -and $task.State -eq 'Running'
}

$driver = $Info.driver
while ($true) {
    $status = Read-Json "$env:IM_WORK\status.json"
    if ($null -eq $status) { exit 0 }
    $written = (Get-Item -LiteralPath "$env:IM_WORK\status.json").LastWriteTime
    $started = (Get-CimInstance Win32_OperatingSystem).LastBootUpTime -gt $written
    $age = ((Get-Date) - $written).TotalSeconds
    if (@('begun', 'working', 'waiting', 'restart', 'rolling-back', 'removing') -notcontains $status.state) { exit 0 }
    if ($status.state -eq 'removing') {
        if (-not (Test-Running "$driver-remove") -and ($started -or $age -gt 60)) {
            Start-ScheduledTask -TaskPath '\RustIM\' -TaskName "$driver-remove"
        }
    } elseif (-not (Test-Running "$driver-deploy")) {
        if ($status.state -eq 'restart' -and $started) {
            Start-ScheduledTask -TaskPath '\RustIM\' -TaskName "$driver-deploy"
        } elseif ($started -or $age -gt 600 -or ($status.state -ne 'restart' -and $age -gt 60)) {
            & "$Far\deploy.ps1" -Rollback
            exit 0
        }
    }
    Start-Sleep -Seconds 5
}
