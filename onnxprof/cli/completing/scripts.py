"""The scripts that make a shell ask onnxprof at Tab, and how a shell asks.

A script sets `_ONNXPROF_COMPLETE` to the shell's name and `_ONNXPROF_LINE` to the command line up
to the cursor, and runs the program. Answers are lines: `+VALUE`, a tab and a help text for a
candidate; `files` where the shell is to add the files that fit.
"""

from __future__ import annotations

from enum import StrEnum

ASKED, LINE, BREAKS = "_ONNXPROF_COMPLETE", "_ONNXPROF_LINE", "_ONNXPROF_BREAKS"


class Shell(StrEnum):
    """A shell with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


#: Bash takes `:` and `=` for ends of words, so what stands before the last one is not repeated.
_BASH = r"""# Completion of onnxprof in bash: source this file, or
#   eval "$(onnxprof completion bash)"
_onnxprof_complete() {
    local line file files=""
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
            files) files=1 ;;
            +*) COMPREPLY+=("${line#+}") ;;
        esac
    done < <(_ONNXPROF_COMPLETE=bash _ONNXPROF_LINE="${COMP_LINE:0:$COMP_POINT}" \
        _ONNXPROF_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
    if [[ $files ]]; then
        local word="${COMP_WORDS[COMP_CWORD]}"
        [[ $word == [:=] ]] && word=""
        while IFS= read -r file; do
            if [[ -d $file ]]; then
                COMPREPLY+=("$(printf '%q' "$file")/")
            else
                COMPREPLY+=("$(printf '%q' "$file")")
            fi
        done < <(compgen -f -- "$word")
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _onnxprof_complete onnxprof
"""

_ZSH = r"""#compdef onnxprof
# Completion of onnxprof in zsh: a file _onnxprof in a folder of $fpath, or behind compinit
#   eval "$(onnxprof completion zsh)"
_onnxprof() {
    local -a found
    local line files=""
    while IFS= read -r line; do
        case "$line" in
            files) files=1 ;;
            +*) found+=("${line#+}") ;;
        esac
    done < <(_ONNXPROF_COMPLETE=zsh _ONNXPROF_LINE="${words[1,$CURRENT]}" "${words[1]}" 2>/dev/null)
    (( ${#found} )) && _describe -V onnxprof found
    [[ -n $files ]] && _files
}
if [[ "${funcstack[1]}" == _onnxprof ]]; then
    _onnxprof "$@"
else
    compdef _onnxprof onnxprof
fi
"""

_FISH = r"""# Completion of onnxprof in fish: ~/.config/fish/completions/onnxprof.fish, or
#   onnxprof completion fish | source
function __onnxprof_complete
    set -l line (commandline -cp | string collect)
    for answer in (env _ONNXPROF_COMPLETE=fish _ONNXPROF_LINE="$line" onnxprof 2>/dev/null)
        switch $answer
            case files
                __fish_complete_path (commandline -ct)
            case '+*'
                string sub -s 2 -- $answer
        end
    end
end
complete --command onnxprof --no-files --arguments '(__onnxprof_complete)'
"""

_POWERSHELL = r"""# Completion of onnxprof in PowerShell: in $PROFILE
#   onnxprof completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName onnxprof -ScriptBlock {
    param($word, $ast, $cursor)
    $line = $ast.ToString()
    $length = $cursor - $ast.Extent.StartOffset
    $line = if ($length -gt $line.Length) { "$line " } else { $line.Substring(0, $length) }
    $env:_ONNXPROF_COMPLETE = 'powershell'
    $env:_ONNXPROF_LINE = $line
    try {
        onnxprof 2>$null | Where-Object { $_.StartsWith('+') } | ForEach-Object {
            $value, $help = $_.Substring(1) -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new(
                $value, $value, 'ParameterValue', $help)
        }
    }
    finally {
        Remove-Item Env:_ONNXPROF_COMPLETE, Env:_ONNXPROF_LINE
    }
}
"""

SCRIPTS = {
    Shell.BASH: _BASH,
    Shell.ZSH: _ZSH,
    Shell.FISH: _FISH,
    Shell.POWERSHELL: _POWERSHELL,
}
