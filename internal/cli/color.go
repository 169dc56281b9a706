package cli

// A colour is the parameter of an SGR sequence (ECMA-48, 8.3.117). Meaning is never told by colour alone.
type color string

const (
	bold   color = "1"
	dim    color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

// palette is what containers are told apart by. Red is not in it: it stands for trouble.
var palette = [...]color{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

func (u *ui) paint(on bool, c color, s string) string {
	if !on || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// colorsOf gives each name a colour: the same name the same one every time, except that two names of one pod don't
// share one while there are others left.
func colorsOf(names []string) map[string]color {
	taken := map[color]bool{}
	of := map[string]color{}
	for _, n := range names {
		h := uint32(2166136261) // FNV-1a: spreads short names well
		for i := range len(n) {
			h = (h ^ uint32(n[i])) * 16777619
		}
		c := palette[h%uint32(len(palette))]
		for i := 1; taken[c] && i < len(palette); i++ {
			c = palette[(h+uint32(i))%uint32(len(palette))]
		}
		taken[c], of[n] = true, c
	}
	return of
}
