package cli

import (
	"fmt"
	"strings"

	"github.com/podlab/podlab/ipc"
)

// ipcArguments is what can stand as an argument of an ipc verb: the objects there are, or pods.
func ipcArguments(u *ui, path string, have []string) []candidate {
	if path == "ipc matrix" || (path == "ipc ls" || path == "ipc limits") && len(have) == 0 {
		return podCandidates(u, have, true)
	}
	words := strings.Fields(path)
	if len(words) != 3 {
		return nil
	}
	kind, verb := ipc.Kind(words[1]), words[2]
	if verb == "create" || verb == "ls" || len(have) > 0 && verb != "rm" {
		return nil
	}
	objects, _ := ipc.List() // what can't be listed can't be completed
	var all []candidate
	for _, o := range objects {
		if o.Kind != kind {
			continue
		}
		about := fmt.Sprintf("%s, mode %s", ownerName(o.UID), octal(o.Mode))
		switch {
		case !kind.SystemV():
			all = append(all, candidate{o.Name, about})
		case o.Key == ipc.Private:
			all = append(all, candidate{fmt.Sprintf("id:%d", o.ID), about})
		default:
			all = append(all, candidate{o.Key.String(), fmt.Sprintf("id:%d, %s", o.ID, about)})
		}
	}
	return all
}

// ipcValues is what can stand as the value of an ipc verb's flag.
func ipcValues(path, flag string) []candidate {
	switch {
	case flag == "mode":
		return []candidate{{"600", "its owner"}, {"660", "its group too"}, {"666", "everybody"}}
	case flag != "o" && flag != "output":
		return nil
	case strings.HasSuffix(path, " ls"):
		return plainCandidates("table", "wide", "json")
	case path == "ipc matrix":
		return plainCandidates("table", "json", "markdown", "svg")
	case path == "ipc limits":
		return plainCandidates("table", "json")
	}
	return plainCandidates("text", "json")
}
