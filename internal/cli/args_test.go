package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

func TestArrange(t *testing.T) {
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}},
		&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}},
		&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}},
		&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}},
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}},
	}
	for _, c := range []struct{ args, flags, rest, err string }{
		{"", "", "", ""},
		{"pod.yaml", "", "pod.yaml", ""},
		{"pod.yaml -d", "--detach", "pod.yaml", ""},
		{"a -o json b --detach c", "--output json --detach", "a b c", ""},
		{"-o=json a", "--output json", "a", ""},
		{"-ojson a", "--output json", "a", ""},
		{"-it a", "--interactive --tty", "a", ""},
		{"-itojson a", "--interactive --tty --output json", "a", ""},
		{"-ito json a", "--interactive --tty --output json", "a", ""},
		{"-e A=1,B=2 -e C=3", "--env A=1,B=2 --env C=3", "", ""},
		{"-o -", "--output -", "", ""},
		{"-", "", "-", ""},
		{"a -- -d --x", "", "a -d --x", ""},
		{"-d -- -- b", "--detach", "-- b", ""},
		{"--detach=false a", "--detach=false", "a", ""},
		{"--detach=maybe", "", "", `--detach takes no value, have "maybe"`},
		{"a -o", "", "", "-o needs a value"},
		{"-to", "", "", "-o needs a value"},
		{"a --output", "", "", "--output needs a value"},
		{"a -x", "", "", `unknown flag "-x"`},
		{"a -ix", "", "", `unknown flag "-ix"`},
		{"a --detsch", "", "", `unknown flag "--detsch"`},
		{"a --detsch=1", "", "", `unknown flag "--detsch=1"`},
	} {
		a, err := arrange(flags, strings.Fields(c.args))
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%q: got error %v, want %s", c.args, err, c.err)
			}
			continue
		}
		// Long names in the want column: the index has both, the argument's own is kept.
		long := strings.NewReplacer("--d ", "--detach ", "--i ", "--interactive ", "--t ", "--tty ", "--o ", "--output ", "--e ", "--env ")
		got := strings.TrimSpace(long.Replace(strings.Join(a.flags, " ") + " "))
		if err != nil || got != c.flags || strings.Join(a.rest, " ") != c.rest {
			t.Errorf("%q: got %q %q %v, want %q %q", c.args, got, a.rest, err, c.flags, c.rest)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	for _, c := range []struct{ args, name, rest string }{
		{"podlab", "", ""},
		{"podlab run a.yaml", "run", "a.yaml"},
		{"podlab --root /x run a.yaml", "run", "--root /x a.yaml"},
		{"podlab --color=never -n x run a.yaml -d", "run", "--color=never -n x a.yaml -d"},
		{"podlab --version", "version", ""},
		{"podlab -v", "version", ""},
		{"podlab -h", "help", ""},
		{"podlab --help run", "help", "run"},
		{"podlab help run", "help", "run"},
	} {
		name, rest, err := splitCommand(strings.Fields(c.args))
		if err != nil || name != c.name || strings.Join(rest, " ") != c.rest {
			t.Errorf("%q: got %q %q %v, want %q %q", c.args, name, rest, err, c.name, c.rest)
		}
	}
	if _, _, err := splitCommand([]string{"podlab", "--what", "run"}); err == nil || err.Error() != `unknown flag "--what"` {
		t.Errorf("--what: got %v", err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"run", "plan", "explain", "check", "ns", "rm", "version", "completion", "help"}
	got := map[string]string{}
	want := map[string]string{"rnu": "run", "pln": "plan", "exlpain": "explain", "chekc": "check", "versoin": "version",
		"r": "rm", "kubectl": "", "": "", "x": "", "helpp": "help", "runn": "run", "plans-of-pods": "plan", "comp": "completion", "runnnnnnn": ""}
	for have := range want {
		got[have], _ = nearest(have, names)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("nearest (-want +got):\n%s", d)
	}
}

func FuzzArrange(f *testing.F) {
	f.Add("run\x00-d\x00--\x00-x")
	ix := []cli.Flag{&cli.BoolFlag{Name: "d"}, &cli.StringFlag{Name: "o"}}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := arrange(ix, strings.Split(s, "\x00"))
		if err != nil {
			return
		}
		// Nothing gets lost: the flag package reads back just what was arranged.
		app := &cli.App{Name: "x", Flags: ix, HideHelp: true, Writer: &strings.Builder{}, ErrWriter: &strings.Builder{}}
		app.Action = func(c *cli.Context) error {
			if d := cmp.Diff(a.rest, c.Args().Slice()); d != "" && len(a.rest)+c.NArg() > 0 {
				t.Errorf("%q: arguments (-want +got):\n%s", s, d)
			}
			return nil
		}
		if err := app.Run(append(append([]string{"x"}, a.flags...), append([]string{"--"}, a.rest...)...)); err != nil && !strings.Contains(err.Error(), "invalid") {
			t.Errorf("%q: %v", s, err)
		}
	})
}
