#compdef podlab
# zsh completion for podlab. Made by: podlab completion zsh

_podlab() {
    local -a plain open
    local word about
    while IFS=$'\t' read -r word about; do
        case $word in
        */|*.|*=) open+=("${word//:/\\:}${about:+:$about}") ;;
        *) plain+=("${word//:/\\:}${about:+:$about}") ;;
        esac
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#plain )) && _describe -t words podlab plain
    # No space after a word that will go on.
    (( $#open )) && _describe -t open podlab open -S ''
    return 0
}

# Sourced, it registers itself; autoloaded from fpath, it is the function.
if [[ $funcstack[1] == _podlab ]]; then
    _podlab "$@"
else
    compdef _podlab podlab
fi
