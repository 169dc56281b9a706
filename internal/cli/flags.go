package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// Flags that mean the same in more than one command.

func outputFlag(formats, value string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "print as `FORMAT`: " + formats, Value: value}
}

func namespaceFlag() cli.Flag {
	return &cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the `NAMESPACE` of pods that name none"}
}

func fileFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "filename", Aliases: []string{"f"}, Usage: "a manifest `FILE`, as an argument would be; may be repeated"}
}

func rootfsFlag() cli.Flag {
	return &cli.StringFlag{Name: "rootfs", Usage: "take the containers' files from `ROOT`: host (this machine's programs) or a directory; image: is then ignored"}
}

func sysctlsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "allow-unsafe-sysctls", Usage: "allow namespaced sysctls that Kubernetes calls unsafe"}
}

func restartFlag() cli.Flag {
	return &cli.StringFlag{Name: "restart", Usage: "`POLICY` in place of restartPolicy: never, onfailure or always"}
}

// restartPolicy is the manifest's word for the flag's.
func restartPolicy(flag string) (string, error) {
	for _, p := range []string{"Never", "OnFailure", "Always"} {
		if strings.EqualFold(p, flag) {
			return p, nil
		}
	}
	if flag == "" {
		return "", nil
	}
	return "", oneOf("--restart", flag, "never", "onfailure", "always")
}

func tooMany(args []string) error {
	return fmt.Errorf("unexpected argument %s", quote(args[0]))
}

// checkName refuses a name that Kubernetes refuses, before it becomes part of a path: a namespace is a DNS label, a pod's
// name may be several with dots between them (RFC 1123), and up to 253 long in all.
func checkName(what, name string) error {
	most := 253
	if what == "namespace" {
		most = 63
	}
	bad := name == "" || what == "namespace" && strings.Contains(name, ".")
	for _, label := range strings.Split(name, ".") {
		bad = bad || label == "" || label[0] == '-' || label[len(label)-1] == '-'
	}
	for i := range len(name) {
		c := name[i]
		bad = bad || !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.')
	}
	switch {
	case len(name) > most:
		return fmt.Errorf("%s %s: %d characters, want at most %d", what, quote(name), len(name), most)
	case bad && what == "namespace":
		return fmt.Errorf("%s %s: want lower-case letters, digits and -", what, quote(name))
	case bad:
		return fmt.Errorf("%s %s: want lower-case letters, digits, - and .", what, quote(name))
	}
	return nil
}

var errNoManifest = errors.New("which manifest?")
