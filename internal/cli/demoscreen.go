package cli

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// onScreen obeys PODLAB_SCREEN, DEVICE:INODE:COLUMNS:COLOUR, by which podlab demo says that it shows what comes out of
// that pipe. The environment is inherited by everything below, and a pipe to awk(1) is no screen: hence the numbers, as
// JOURNAL_STREAM has them (systemd.exec(5)).
func (u *ui) onScreen(screen string) {
	var dev, ino uint64
	var columns int
	var colored bool
	if n, err := fmt.Sscanf(screen, "%d:%d:%d:%t", &dev, &ino, &columns, &colored); n != 4 || err != nil || columns < 20 {
		return
	}
	is := func(f *os.File) bool {
		var st unix.Stat_t
		return f != nil && unix.Fstat(int(f.Fd()), &st) == nil && st.Dev == dev && st.Ino == ino
	}
	if is(u.out) {
		u.columns, u.outColor = columns, colored
	}
	u.errColor = u.errColor || is(u.err) && colored
}
