# Runs the steps of the scripts beside it. It decides nothing about drivers or bindings:
# a step is one line for cmd.exe, with the exit codes and answers that are no failure.
# Every step is written into the journal before it runs, so that what a crash cut off is
# taken back as well. Nothing here has run on Windows yet (docs/deploy.md).

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$Far = $PSScriptRoot
$Info = Get-Content -Raw -Encoding UTF8 "$Far\driver.json" | ConvertFrom-Json
$env:IM_WORK = "$env:SystemRoot\RustIM\$($Info.driver)"
$env:IM_PACKAGE = "$env:IM_WORK\package"
$env:IM_FROM = Split-Path -Parent $Far
$Machine = $env:PROCESSOR_ARCHITECTURE
if (Test-Path Env:\PROCESSOR_ARCHITEW6432) { $Machine = $env:PROCESSOR_ARCHITEW6432 }
$env:IM_ARCH = 'x64'
if ($Machine -eq 'ARM64') { $env:IM_ARCH = 'arm64' }
# A script that runs from the previous package uses that package's files.
if ($env:IM_FROM -like "$env:IM_WORK\*") { $env:IM_PACKAGE = $env:IM_FROM }
$env:IM_DLL = "$env:IM_PACKAGE\$env:IM_ARCH\$($Info.notify)"

function Step {
    param(
        [string]$Id, [string]$Run, [int[]]$Accept = @(0), [int[]]$Restart = @(),
        [string]$Answer = '', [string[]]$Result = @(), [string]$Each = '',
        [string]$When = '', [string]$Unless = '', [int]$Retry = 0,
        [string]$Undo = '', [string]$UndoEach = ''
    )
    [pscustomobject]@{
        Id = $Id; Run = $Run; Accept = $Accept; Restart = $Restart; Answer = $Answer
        Result = $Result; Each = $Each; When = $When; Unless = $Unless; Retry = $Retry
        Undo = $Undo; UndoEach = $UndoEach
    }
}

# In one piece: a reader sees the old text or the new one.
function Write-Whole {
    param([string]$Path, [string]$Text)
    $new = "$Path.new"
    [System.IO.File]::WriteAllText($new, $Text, (New-Object System.Text.UTF8Encoding($false)))
    Move-Item -Force -LiteralPath $new -Destination $Path
}

function Read-Json {
    param([string]$Path)
    if (-not (Test-Path -LiteralPath $Path)) { return $null }
    Get-Content -Raw -Encoding UTF8 -LiteralPath $Path | ConvertFrom-Json
}

function Write-Log {
    param([string]$Text)
    $line = '{0:yyyy-MM-dd HH:mm:ss} {1}' -f (Get-Date), $Text
    Add-Content -Encoding UTF8 -LiteralPath "$env:IM_WORK\log.txt" -Value $line
}

# The state of the deployment, for whoever asks over a new connection.
function Set-Status {
    param([string]$State, [string]$Step = '', [string]$Reason = '', [string[]]$Difference = @())
    $old = Read-Json "$env:IM_WORK\status.json"
    $options = Read-Json "$env:IM_WORK\options.json"
    $failed = $Step
    if ($failed -eq '' -and $null -ne $old) { $failed = $old.step }
    if ($Reason -eq '' -and $null -ne $old -and $old.id -eq $options.id) { $Reason = $old.reason }
    $status = [ordered]@{
        id = $options.id; state = $State; step = $failed; reason = $Reason
        difference = @($Difference); restart = (Test-Path "$env:IM_WORK\restart.txt")
    }
    Write-Whole "$env:IM_WORK\status.json" (ConvertTo-Json $status)
}

function Test-Place {
    param([string]$Path)
    Test-Path -LiteralPath ([Environment]::ExpandEnvironmentVariables($Path))
}

# One line, exactly as it stands in the table; /s takes off the outer quotes only.
function Invoke-Line {
    param([string]$Line)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $env:ComSpec
    $start.Arguments = '/d /s /c "' + $Line + '"'
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $output = $process.StandardOutput.ReadToEndAsync()
    $errors = $process.StandardError.ReadToEndAsync()
    if (-not $process.WaitForExit(600000)) {
        $process.Kill()
        return [pscustomobject]@{ Code = -1; Output = 'no end after ten minutes' }
    }
    $text = ($output.Result + $errors.Result).Trim()
    [pscustomobject]@{ Code = $process.ExitCode; Output = $text }
}

# Runs a line until it is accepted or its time is up; returns '' or the reason.
function Invoke-Accepted {
    param($Step, [string]$Line)
    $until = (Get-Date).AddSeconds($Step.Retry)
    $place = [Environment]::ExpandEnvironmentVariables($Step.Answer)
    while ($true) {
        if ($place -ne '') { Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $place }
        $done = Invoke-Line $Line
        Write-Log "$($Step.Id): $([Environment]::ExpandEnvironmentVariables($Line))"
        Write-Log "$($Step.Id): exit code $($done.Code) $($done.Output)"
        $reason = ''
        if ($Step.Accept -notcontains $done.Code) {
            $reason = "exit code $($done.Code): $($done.Output)"
        } elseif ($place -ne '') {
            $answer = Read-Json $place
            if ($null -eq $answer) {
                $reason = "no answer in $place"
            } elseif ($Step.Result -notcontains $answer.result) {
                $reason = "answer '$($answer.result)' in $place"
                foreach ($name in @('reasons', 'differences', 'faults')) {
                    if ($answer.PSObject.Properties[$name]) {
                        $reason = $reason + ' ' + (ConvertTo-Json -Compress -Depth 8 @($answer.$name))
                    }
                }
            } elseif ($answer.PSObject.Properties['restart'] -and $answer.restart) {
                Write-Whole "$env:IM_WORK\restart.txt" $Step.Id
            }
        }
        if ($Step.Restart -contains $done.Code) { Write-Whole "$env:IM_WORK\restart.txt" $Step.Id }
        if ($reason -eq '' -or (Get-Date) -ge $until) { return $reason }
        Start-Sleep -Seconds 1
    }
}

# Sets the variables of an entry for the commands that follow.
function Set-Entry {
    param($Entry)
    foreach ($name in $Entry.Keys) { Set-Item -Path "Env:\$name" -Value ([string]$Entry[$name]) }
}

# The entries of a list; what a list is of stands in the table of the documentation.
function Get-Entries {
    param([string]$List)
    . "$Far\lists.ps1"
    if ($List -eq '') { return , @(@{}) }
    return , @(Get-List $List)
}

# Runs one step; returns '' or the reason of its failure.
function Invoke-Step {
    param($Step)
    if ($Step.When -ne '' -and -not (Test-Place $Step.When)) { return '' }
    if ($Step.Unless -ne '' -and (Test-Place $Step.Unless)) { return '' }
    foreach ($entry in (Get-Entries $Step.Each)) {
        Set-Entry $entry
        $reason = Invoke-Accepted $Step $Step.Run
        if ($reason -ne '') { return $reason }
    }
    return ''
}

# Runs steps in order; returns $null or the step that failed with its reason. Steps that
# the journal has already are not run again: that is how a restart is survived.
function Invoke-Steps {
    param([object[]]$Steps, [string]$Journal)
    $done = @()
    if (Test-Path -LiteralPath $Journal) { $done = @(Get-Content -LiteralPath $Journal) }
    foreach ($step in $Steps) {
        if ($done -contains "done $($step.Id)") { continue }
        Add-Content -Encoding ASCII -LiteralPath $Journal -Value "begin $($step.Id)"
        $reason = Invoke-Step $step
        if ($reason -ne '') {
            return [pscustomobject]@{ Step = $step.Id; Reason = $reason }
        }
        Add-Content -Encoding ASCII -LiteralPath $Journal -Value "done $($step.Id)"
        if (Test-Path -LiteralPath "$env:IM_WORK\restart.txt") {
            return [pscustomobject]@{ Step = $step.Id; Reason = 'restart' }
        }
    }
    return $null
}

# Takes back, in reverse order, what the journal says was begun. An undo that fails does
# not end the others: the comparison afterwards says what is left.
function Undo-Steps {
    param([object[]]$Steps, [string]$Journal)
    if (-not (Test-Path -LiteralPath $Journal)) { return }
    $begun = @(Get-Content -LiteralPath $Journal)
    for ($i = $Steps.Count - 1; $i -ge 0; $i--) {
        $step = $Steps[$i]
        if ($step.Undo -eq '' -or $begun -notcontains "begin $($step.Id)") { continue }
        if ($step.When -ne '' -and -not (Test-Place $step.When)) { continue }
        foreach ($entry in (Get-Entries $step.UndoEach)) {
            Set-Entry $entry
            $back = Invoke-Line $step.Undo
            Write-Log "undo $($step.Id): $([Environment]::ExpandEnvironmentVariables($step.Undo))"
            Write-Log "undo $($step.Id): exit code $($back.Code) $($back.Output)"
        }
    }
    Remove-Item -Force -LiteralPath $Journal
}

# Compares with the backup; returns the differences, one text each.
function Get-Differences {
    param([object[]]$Steps)
    New-Item -ItemType Directory -Force "$env:IM_WORK\after" | Out-Null
    $differences = @()
    foreach ($step in $Steps) {
        $reason = Invoke-Step $step
        if ($reason -ne '') { $differences += "$($step.Id): $reason" }
    }
    return , $differences
}

# This package needs no certificate any more.
function Clear-Marks {
    $marks = Get-ChildItem "$env:SystemRoot\RustIM\trust\*\*\$($Info.driver)" -ErrorAction SilentlyContinue
    foreach ($mark in @($marks)) {
        if ($null -eq $mark) { continue }
        Remove-Item -Force -LiteralPath $mark.FullName
        if (@(Get-ChildItem -LiteralPath $mark.DirectoryName).Count -eq 0) {
            Remove-Item -Force -LiteralPath $mark.DirectoryName
        }
    }
}
