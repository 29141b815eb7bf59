# Compares the machine with the backup: the steps, for the scripts that remove or roll back.
$Compare = @(
    #STEPS:compare#
)
