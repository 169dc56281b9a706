package cli

import (
	_ "embed"
	"fmt"

	"github.com/urfave/cli/v2"
)

//go:embed completion/podlab.bash
var bashCompletion string

//go:embed completion/podlab.zsh
var zshCompletion string

//go:embed completion/podlab.fish
var fishCompletion string

func completionCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "bash|zsh|fish",
		Description: "Completes commands, flags, manifests, examples, fields and pods.\n\n" +
			"  $ source <(podlab completion bash)\n" +
			"  $ podlab completion zsh > ~/.zfunc/_podlab       # ~/.zfunc in fpath\n" +
			"  $ podlab completion fish > ~/.config/fish/completions/podlab.fish",
		Action: func(c *cli.Context) error { return completion(u, c.Args().Slice()) },
	}
}

func completion(u *ui, args []string) error {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	switch {
	case len(args) == 0:
		return usage("completion", fmt.Errorf("which shell? bash, zsh or fish"))
	case len(args) > 1:
		return usage("completion", tooMany(args[1:]))
	}
	script, ok := scripts[args[0]]
	if !ok {
		return usage("completion", oneOf("shell", args[0], "bash", "zsh", "fish"))
	}
	u.printf("%s", script)
	return nil
}
