package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func versionCommand(u *ui) *cli.Command {
	return &cli.Command{
		Description: "The version, the commit it was built from, and the Go release that built it.\n\n  $ podlab version -o json",
		Flags:       []cli.Flag{outputFlag("text or json", "text")},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("version", tooMany(c.Args().Slice()))
			}
			return version(u, c.String("output"))
		},
	}
}

// versionInfo is what Go recorded in the binary. Nothing is stamped in by the linker: `go install` has it too.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if b.Main.Version != "" && b.Main.Version != "(devel)" {
		v.Version = b.Main.Version
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func version(u *ui, output string) error {
	v := readVersion()
	switch output {
	case "json":
		return u.json(v)
	case "text":
		line := "podlab " + v.Version
		if v.Commit != "" {
			line += " (" + v.Commit[:min(12, len(v.Commit))]
			if v.Modified {
				line += ", modified"
			}
			line += ")"
		}
		u.printf("%s %s %s\n", line, v.Go, v.Platform)
		return nil
	}
	return usage("version", oneOf("-o", output, "text", "json"))
}

// json prints v as JSON that both jq and people read.
func (u *ui) json(v any) error {
	e := json.NewEncoder(u.outw)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return nil
}
