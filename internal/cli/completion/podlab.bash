# bash completion for podlab. Made by: podlab completion bash

_podlab() {
    # The line is split here, for bash takes : and = for the ends of words (COMP_WORDBREAKS).
    local line=${COMP_LINE:0:COMP_POINT} words cur cut word
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cur=${words[-1]}
    # What stands before the last of them is on the line already, and must not come again.
    cut=
    [[ $cur == *[:=]* ]] && cut=${cur%"${cur##*[:=]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("${word#"$cut"}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    # A word that will go on (a directory, a field with fields in it, a prefix) gets no space.
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/.:=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _podlab podlab
