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
	shortLabels = 260 // the same, where there are many columns
	wideColumn  = 190 // less hasn't room for ECONNREFUSED beside its mark in letters that can be read
	leastColumn = 103 // less hasn't room for it below its mark: then the picture is wider than 16:9
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
	width  float64
	label  float64 // the width of the first column
	column float64 // and of the others
	narrow bool    // names are short, and words stand below their marks
}

func newSlide(viewers int) slide {
	n := float64(max(1, viewers))
	s := slide{width: slideWidth, label: labelWidth}
	s.column = (s.width - 2*slideMargin - s.label) / n
	if s.column < wideColumn {
		s.narrow, s.label = true, shortLabels
		s.width = max(s.width, 2*slideMargin+s.label+leastColumn*n)
		s.column = (s.width - 2*slideMargin - s.label) / n
	}
	return s
}

// matrixSVG prints the matrix as a picture.
func matrixSVG(u *ui, r *matrix.Report) error {
	s := newSlide(len(r.Viewers))
	title, notes := matrixTitle(r), matrixNotes(r)
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" role="img" aria-labelledby="title desc">`+"\n", s.width, slideHeight)
	fmt.Fprintf(&s, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n<style>%s</style>\n", escapeXML(title), escapeXML(slideText(r)), slideStyle)
	fmt.Fprintf(&s, `<rect class="page" width="%.0f" height="%d"/>`+"\n", s.width, slideHeight)
	s.text(slideMargin, 72, 42, "", `font-weight="bold"`, title, s.width-2*slideMargin)
	s.heads(r)
	y := s.rows(r)
	y = s.numbers(r, y+numberTop)
	for i, n := range notes[:min(2, len(notes))] {
		n = strings.ReplaceAll(n, markBlocked, "blocked cell") // the mark is drawn above, and may be in no font
		s.text(slideMargin, y+12+float64(30*i), 21, "", "", n, s.width-2*slideMargin)
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
func (s *slide) x(column int) float64 { return slideMargin + s.label + s.column*float64(column) }

// text writes a line, smaller if it would be too long otherwise: a letter is about as wide as one of a monospaced font.
func (s *slide) text(x, y, size float64, class, more, text string, room float64) {
	text = cleanString(text)
	if wide := letterWidth * size * float64(utf8.RuneCountInString(text)); wide > room && wide > 0 {
		size *= room / wide
	}
	if size < 11 { // nobody can read that
		size = 11
		text = cut(text, max(8, int(room/(letterWidth*size))))
	}
	if class != "" {
		class = ` class="` + class + `"`
	}
	if more != "" {
		more = " " + more
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" font-size="%.1f"%s%s>%s</text>`+"\n", x, y, size, class, more, escapeXML(text))
}

// letterWidth is how wide a letter is, of DejaVu Sans Mono, for a size of 1.
const letterWidth = 0.602

const middle = `text-anchor="middle"`

func (s *slide) heads(r *matrix.Report) {
	note := "object made in " + r.Owner.Name + ", looked for from"
	if s.narrow { // the title says the first half
		note = "looked for from"
	}
	s.text(slideMargin, headTop+22, 21, "dim", "", note, s.label-20)
	const strong = middle + ` font-weight="bold"`
	for i, v := range r.Viewers {
		x, room := s.x(i)+s.column/2, s.column-14
		if !s.narrow {
			s.text(x, headTop+22, 25, "", strong, string(v.Column), room)
			s.text(x, headTop+52, 21, "mono dim", middle, v.Name, room)
			continue
		}
		for n, half := range halves(string(v.Column), " ") {
			s.text(x, headTop+float64(8+19*n), 18, "", strong, half, room)
		}
		for n, half := range halves(v.Name, "/ ") {
			s.text(x, headTop+float64(47+18*n), 16, "mono dim", middle, half, room)
		}
	}
}

// halves breaks a name in two after the first of some characters.
func halves(name, after string) []string {
	if i := strings.IndexAny(name, after); i >= 0 {
		return []string{strings.TrimSpace(name[:i+1]), name[i+1:]}
	}
	return []string{name}
}

// rows draws the cells, and returns where they end.
func (s *slide) rows(r *matrix.Report) float64 {
	y := float64(gridTop)
	for n, l := range r.Rows {
		if n > 0 && l.Follows != r.Rows[n-1].Follows {
			y += groupGap - cellGap
		}
		name := l.Name
		if s.narrow {
			name = l.Short
		}
		s.text(slideMargin, y+cellHeight/2+8, 24, "", "", name, s.label-100)
		s.text(slideMargin+s.label-24, y+cellHeight/2+7, 18, "mono dim", `text-anchor="end"`, string(l.Follows), 80)
		for i, c := range l.Cells {
			s.cell(s.x(i)+4, y, cellOf(c, r.Viewers[i]))
		}
		if l.Why != "" {
			text, _ := matrixWhy(l)
			s.text(s.x(0)+12, y+cellHeight/2+8, 22, "dim", "", text, s.width-slideMargin-s.x(0)-12)
		}
		y += cellHeight + cellGap
	}
	return y
}

// cellClass is the look of a cell.
func cellClass(m matrixCell) string {
	switch {
	case m.mark == markUnsure:
		return "doubt"
	case m.bad:
		return "bad"
	case m.mark == markReached && m.word != "":
		return "share"
	case m.mark == markReached:
		return "good"
	}
	return "block"
}

// cell draws a box with a mark, and a word beside it, or below it.
func (s *slide) cell(x, y float64, m matrixCell) {
	class, wide := cellClass(m), s.column-8
	fmt.Fprintf(s, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="9" stroke-width="2"/>`+"\n", class, x, y, wide, cellHeight)
	const strong = `font-weight="bold"`
	switch {
	case m.word == "":
		s.mark(x+wide/2-12, y+cellHeight/2, class, m.mark)
	case s.narrow:
		s.mark(x+wide/2-12, y+16, class, m.mark)
		s.text(x+wide/2, y+cellHeight-6, 14, "mono "+class+"-ink", middle+" "+strong, m.word, wide-8)
	default:
		const mark = 34 // with the space behind it
		size := min(21, (wide-mark-20)/(letterWidth*float64(utf8.RuneCountInString(m.word))))
		left := x + (wide-mark-letterWidth*size*float64(utf8.RuneCountInString(m.word)))/2
		s.mark(left, y+cellHeight/2, class, m.mark)
		s.text(left+mark, y+cellHeight/2+7, size, "mono "+class+"-ink", strong, m.word, wide-mark-20+1)
	}
}

// mark draws a mark 24 wide, around the height y.
func (s *slide) mark(x, y float64, class, mark string) {
	if mark == markUnsure {
		s.text(x+4, y+10, 28, class+"-ink", `font-weight="bold"`, "?", 40)
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
	size := 20.0
	if s.narrow {
		size = 17
	}
	for n, name := range names {
		s.text(slideMargin, y, 20, "dim", "", name, s.label-20)
		for i, number := range lines[n] {
			class := "mono"
			if !strings.HasPrefix(number, "=") {
				class = "mono differs"
			}
			s.text(s.x(i)+s.column/2, y, size, class, middle, number, s.column-10)
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
