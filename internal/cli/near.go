package cli

import "strings"

// nearest is the name that have was most likely meant to be: the one that needs the fewest edits, if they are few
// for its length; else the longest that have begins with, as exclusive does with excl, or the shortest that begins
// with have.
func nearest(have string, names []string) (string, bool) {
	best, at := "", len(have)/3+2 // one more than the most edits we take for a slip: two in four to six letters
	for _, n := range names {
		if d := edits(have, n); d < at || d == at && best != "" && n < best {
			best, at = n, d
		}
	}
	if best == "" {
		best = related(have, names)
	}
	return best, best != ""
}

// related is the name of which have is a longer or a shorter form. Three letters begin too much to say so.
func related(have string, names []string) (best string) {
	at := 0
	for _, n := range names {
		if len(n) < 4 || len(have) < 4 || !strings.HasPrefix(have, n) && !strings.HasPrefix(n, have) {
			continue
		}
		if d := edits(have, n); best == "" || d < at || d == at && n < best {
			best, at = n, d
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that turn a into b (the optimal string
// alignment distance).
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64 // nobody mistypes a name that long, and the table is quadratic
	}
	var before, above []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row = above, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
