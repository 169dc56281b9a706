package cli

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/podlab/podlab/internal/matrix"
)

// The picture is well-formed, fetches nothing, and all its text lies within it, however long the names are.
func TestMatrixSVG(t *testing.T) {
	long := sampleMatrix()
	long.Owner.Name = strings.Repeat("a", 63) + "/" + strings.Repeat("b", 63)
	many := sampleMatrix()
	for i := range 16 {
		many.Viewers = append(many.Viewers, many.Viewers[2])
		many.Viewers[len(many.Viewers)-1].Name = fmt.Sprintf("stranger-%d/carol", i)
		for i := range many.Rows {
			if len(many.Rows[i].Cells) > 0 {
				many.Rows[i].Cells = append(many.Rows[i].Cells, many.Rows[i].Cells[2])
			}
		}
	}
	for range 6 {
		long.Viewers = append(long.Viewers, long.Viewers[2])
		long.Viewers[len(long.Viewers)-1].Name = long.Owner.Name
		for i := range long.Rows {
			if len(long.Rows[i].Cells) > 0 {
				long.Rows[i].Cells = append(long.Rows[i].Cells, long.Rows[i].Cells[2])
			}
		}
	}
	for name, r := range map[string]*matrix.Report{"four": sampleMatrix(), "eight": columnsOf(many, 8), "twelve": columnsOf(many, 12), "twenty": many, "ten": long} {
		svg := printed(t, func(u *ui) error { return matrixSVG(u, r) })
		if strings.Contains(strings.ReplaceAll(svg, "http://www.w3.org/2000/svg", ""), "http") || strings.Contains(svg, "href") {
			t.Errorf("%s: fetches something", name)
		}
		if name == "four" && !strings.Contains(svg, "b&lt;&amp;&gt;/app") {
			t.Errorf("%s: a name isn't escaped", name)
		}
		checkSlide(t, name, svg)
	}
}

// columnsOf is the first columns of a report.
func columnsOf(r *matrix.Report, n int) *matrix.Report {
	cut := *r
	cut.Viewers, cut.Rows = r.Viewers[:n], slices.Clone(r.Rows)
	for i := range cut.Rows {
		cut.Rows[i].Cells = cut.Rows[i].Cells[:min(n, len(cut.Rows[i].Cells))]
	}
	return &cut
}

// box is where a text or a rectangle lies.
type box struct{ left, right, top, bottom float64 }

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// textBoxes are where the texts of a slide lie, by the width of a monospaced font, and what they say.
func textBoxes(t *testing.T, svg string) (all []box, texts []string) {
	t.Helper()
	line := regexp.MustCompile(`<text x="([\d.]+)" y="([\d.]+)" font-size="([\d.]+)"(.*?)>(.*)</text>`)
	for _, m := range line.FindAllStringSubmatch(svg, -1) {
		var n [3]float64
		for i := range n {
			var err error
			if n[i], err = strconv.ParseFloat(m[i+1], 64); err != nil {
				t.Fatal(err)
			}
		}
		text := html.UnescapeString(m[5])
		wide := letterWidth * n[2] * float64(utf8.RuneCountInString(text))
		left := n[0]
		switch {
		case strings.Contains(m[4], `"middle"`):
			left -= wide / 2
		case strings.Contains(m[4], `"end"`):
			left -= wide
		}
		all, texts = append(all, box{left, left + wide, n[1] - 0.72*n[2], n[1]}), append(texts, text)
	}
	return all, texts
}

// checkRoom: no text lies upon another or sticks out of its box.
func checkRoom(t *testing.T, name, svg string) {
	t.Helper()
	texts, words := textBoxes(t, svg)
	for i, a := range texts {
		for j, b := range texts[:i] {
			if a.meets(b) {
				t.Errorf("%s: %q lies upon %q: %.0f, %.0f", name, words[i], words[j], a, b)
			}
		}
	}
	rect := regexp.MustCompile(`<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"`)
	for _, m := range rect.FindAllStringSubmatch(svg, -1) {
		x, _ := strconv.ParseFloat(m[1], 64) // as matched
		y, _ := strconv.ParseFloat(m[2], 64)
		wide, _ := strconv.ParseFloat(m[3], 64)
		cell := box{x, x + wide, y, y + cellHeight}
		for i, b := range texts {
			if b.meets(cell) && (b.left < cell.left || b.right > cell.right || b.top < cell.top || b.bottom > cell.bottom) {
				t.Errorf("%s: %q sticks out of its cell: %.0f, %.0f", name, words[i], b, cell)
			}
		}
	}
}

func checkSlide(t *testing.T, name, svg string) {
	t.Helper()
	var wide float64
	if _, err := fmt.Sscanf(svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %f 900"`, &wide); err != nil || wide < slideWidth {
		t.Fatalf("%s: %.0f wide, %v", name, wide, err)
	}
	checkRoom(t, name, svg)
	d := xml.NewDecoder(strings.NewReader(svg))
	texts, rects := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		number := func(attr string) float64 {
			for _, a := range e.Attr {
				if a.Name.Local == attr {
					v, err := strconv.ParseFloat(a.Value, 64)
					if err != nil {
						t.Errorf("%s: %s=%q", name, attr, a.Value)
					}
					return v
				}
			}
			return 0
		}
		switch e.Name.Local {
		case "text":
			texts++
			if x, y, size := number("x"), number("y"), number("font-size"); x < 0 || x > wide || y < size || y > slideHeight-10 || size < 10 {
				t.Errorf("%s: a text at %.0f, %.0f, %.0f high", name, x, y, size)
			}
		case "rect":
			rects++
			if number("x")+number("width") > wide || number("y")+number("height") > slideHeight {
				t.Errorf("%s: a box at %v", name, e.Attr)
			}
		}
	}
	if texts < 40 || rects < 28 {
		t.Errorf("%s: %d texts and %d boxes, want more", name, texts, rects)
	}
}
