package cli

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/podlab/podlab/internal/matrix"
)

// The picture is a slide of 16:9, for a beamer: large, with nothing fetched from elsewhere, and legible on light and
// dark. Marks are drawn, not written: no font need have them.
const (
	slideWidth  = 1600
	slideHeight = 900
	slideMargin = 50
	labelWidth  = 440 // of the first column
	headTop     = 112 // where the heads of the columns begin
	gridTop     = 186 // where the cells begin
	cellHeight  = 48
	cellGap     = 6
	groupGap    = 14 // more, between rows that follow different things
	numberTop   = 34 // from the last row to the first number
	numberStep  = 27
)

// slideStyle has both worlds: a viewer that knows of none gets the light one. No variables, for librsvg knows none.
const slideStyle = `
text { font-family: "DejaVu Sans", "Noto Sans", "Segoe UI", Helvetica, Arial, sans-serif; fill: #16191d }
.mono { font-family: "DejaVu Sans Mono", "Noto Sans Mono", Menlo, Consolas, monospace }
.dim { fill: #555e68 }
.page { fill: #ffffff }
.good { fill: #dff3e3; stroke: #1a7f37 } .good-ink { fill: #11602a } .good-mark { stroke: #1a7f37 }
.block { fill: #fde7e5; stroke: #c0392b } .block-ink { fill: #9c2318 } .block-mark { stroke: #c0392b }
.share { fill: #fff1cf; stroke: #9a6700 } .share-ink { fill: #7a5200 } .share-mark { stroke: #9a6700 }
.bad { fill: #b42318; stroke: #b42318 } .bad-ink { fill: #ffffff } .bad-mark { stroke: #ffffff }
.doubt { fill: none; stroke: #555e68; stroke-dasharray: 8 5 } .doubt-ink { fill: #555e68 } .doubt-mark { stroke: #555e68 }
.differs { fill: #9c2318; font-weight: bold }
.mark { fill: none; stroke-width: 5; stroke-linecap: round; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
text { fill: #f2f4f7 }
.dim { fill: #a9b4c0 }
.page { fill: #14171c }
.good { fill: #12301c; stroke: #57d37c } .good-ink { fill: #8be9a8 } .good-mark { stroke: #57d37c }
.block { fill: #3b1618; stroke: #ff8a80 } .block-ink { fill: #ffb3ac } .block-mark { stroke: #ff8a80 }
.share { fill: #3a2c0a; stroke: #f0c14b } .share-ink { fill: #f7d98a } .share-mark { stroke: #f0c14b }
.bad { fill: #ff5c4d; stroke: #ff5c4d } .bad-ink { fill: #14171c } .bad-mark { stroke: #14171c }
.doubt { stroke: #a9b4c0 } .doubt-ink { fill: #a9b4c0 } .doubt-mark { stroke: #a9b4c0 }
.differs { fill: #ffb3ac }
}
`

// slide is a picture in the making.
type slide struct {
	strings.Builder
	column float64 // the width of a column
}

// matrixSVG prints the matrix as a picture.
func matrixSVG(u *ui, r *matrix.Report) error {
	s := slide{column: float64(slideWidth-2*slideMargin-labelWidth) / float64(max(1, len(r.Viewers)))}
	title, notes := matrixTitle(r), matrixNotes(r)
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", slideWidth, slideHeight)
	fmt.Fprintf(&s, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n<style>%s</style>\n", escapeXML(title), escapeXML(slideText(r)), slideStyle)
	fmt.Fprintf(&s, `<rect class="page" width="%d" height="%d"/>`+"\n", slideWidth, slideHeight)
	s.text(slideMargin, 72, 42, "", `font-weight="bold"`, title, slideWidth-2*slideMargin)
	s.heads(r)
	y := s.rows(r)
	y = s.numbers(r, y+numberTop)
	for i, n := range notes[:min(2, len(notes))] {
		n = strings.ReplaceAll(n, markBlocked, "blocked cell") // the mark is drawn above, and may be in no font
		s.text(slideMargin, y+12+float64(30*i), 21, "", "", n, slideWidth-2*slideMargin)
	}
	s.WriteString("</svg>\n")
	u.printf("%s", s.String())
	return nil
}

// slideText is the matrix for who can't see it.
func slideText(r *matrix.Report) string {
	var all []string
	for _, l := range r.Rows {
		cells := []string{}
		for i, c := range l.Cells {
			word := "reached"
			if m := cellOf(c, r.Viewers[i]); m.mark != markReached {
				word = m.word
			}
			cells = append(cells, r.Viewers[i].Name+" "+word)
		}
		if l.Why != "" {
			text, _ := matrixWhy(l)
			cells = []string{text}
		}
		all = append(all, l.Name+": "+strings.Join(cells, ", "))
	}
	return strings.Join(all, ". ") + "."
}

// x is the left side of a column, without the gap before it.
func (s *slide) x(column int) float64 { return slideMargin + labelWidth + s.column*float64(column) }

// text writes a line, smaller if it would be too long otherwise: a letter is about 0.6 of its size wide.
func (s *slide) text(x, y, size float64, class, more, text string, room float64) {
	text = cleanString(text)
	if wide := 0.6 * size * float64(utf8.RuneCountInString(text)); wide > room && wide > 0 {
		size *= room / wide
	}
	if size < 11 { // nobody can read that
		size = 11
		text = cut(text, max(8, int(room/(0.6*size))))
	}
	if class != "" {
		class = ` class="` + class + `"`
	}
	if more != "" {
		more = " " + more
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" font-size="%.1f"%s%s>%s</text>`+"\n", x, y, size, class, more, escapeXML(text))
}

const middle = `text-anchor="middle"`

func (s *slide) heads(r *matrix.Report) {
	s.text(slideMargin, headTop+22, 21, "dim", "", "object made in "+r.Owner.Name+", looked for from", labelWidth-20)
	for i, v := range r.Viewers {
		x := s.x(i) + s.column/2
		s.text(x, headTop+22, 25, "", middle+` font-weight="bold"`, string(v.Column), s.column-14)
		s.text(x, headTop+52, 21, "mono dim", middle, v.Name, s.column-14)
	}
}

// rows draws the cells, and returns where they end.
func (s *slide) rows(r *matrix.Report) float64 {
	y := float64(gridTop)
	for n, l := range r.Rows {
		if n > 0 && l.Follows != r.Rows[n-1].Follows {
			y += groupGap - cellGap
		}
		s.text(slideMargin, y+cellHeight/2+8, 24, "", "", l.Name, labelWidth-100)
		s.text(slideMargin+labelWidth-24, y+cellHeight/2+7, 18, "mono dim", `text-anchor="end"`, string(l.Follows), 100)
		for i, c := range l.Cells {
			s.cell(s.x(i)+4, y, cellOf(c, r.Viewers[i]))
		}
		if l.Why != "" {
			text, _ := matrixWhy(l)
			s.text(s.x(0)+12, y+cellHeight/2+8, 22, "dim", "", text, slideWidth-slideMargin-s.x(0)-12)
		}
		y += cellHeight + cellGap
	}
	return y
}

// cell draws a box with a mark, and a word beside it.
func (s *slide) cell(x, y float64, m matrixCell) {
	class := "block"
	switch {
	case m.mark == markUnsure:
		class = "doubt"
	case m.bad:
		class = "bad"
	case m.mark == markReached && m.word != "":
		class = "share"
	case m.mark == markReached:
		class = "good"
	}
	wide := s.column - 8
	fmt.Fprintf(s, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="9" stroke-width="2"/>`+"\n", class, x, y, wide, cellHeight)
	room := wide - 64 // for the word
	size := min(21, room/(0.602*float64(max(1, utf8.RuneCountInString(m.word)))))
	left := x + (wide-34-0.602*size*float64(utf8.RuneCountInString(m.word)))/2
	if m.word == "" {
		left = x + wide/2 - 12
	}
	s.mark(left, y+cellHeight/2, class, m.mark)
	if m.word != "" {
		s.text(left+34, y+cellHeight/2+7, size, "mono "+class+"-ink", `font-weight="bold"`, m.word, room+20)
	}
}

// mark draws a mark 24 wide, around the height y.
func (s *slide) mark(x, y float64, class, mark string) {
	if mark == markUnsure {
		s.text(x+4, y+11, 30, class+"-ink", `font-weight="bold"`, "?", 40)
		return
	}
	path := "m2 0 7 8 13-17"
	if mark == markBlocked {
		path = "m3-9 18 18m0-18-18 18"
	}
	fmt.Fprintf(s, `<path class="mark %s-mark" transform="translate(%.1f %.1f)" d="%s"/>`+"\n", class, x, y, path)
}

// numbers writes the inode numbers under the columns, and returns where they end.
func (s *slide) numbers(r *matrix.Report, y float64) float64 {
	names, lines := matrixNumbers(r)
	for n, name := range names {
		s.text(slideMargin, y, 20, "dim", "", name, labelWidth-20)
		for i, number := range lines[n] {
			class := "mono"
			if !strings.HasPrefix(number, "=") {
				class = "mono differs"
			}
			s.text(s.x(i)+s.column/2, y, 20, class, middle, number, s.column-22)
		}
		y += numberStep
	}
	return y
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
