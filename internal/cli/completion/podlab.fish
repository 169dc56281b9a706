# fish completion for podlab. Made by: podlab completion fish

function __podlab_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    $words[1] __complete $words[2..-1] $cur 2>/dev/null
end

complete -c podlab -f -k -a '(__podlab_complete)'
