package cli

import (
	stdcontext "context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/matrix"
)

// probeVerb makes podlab a probe of `podlab ipc matrix`, on the host or in a container. It isn't a command: it speaks
// with no person, only with the podlab that started it.
const probeVerb = "__probe"

// serveProbe is a probe until the end of in.
func serveProbe(in, out *os.File) error {
	// Nonblocking, so that a signal can end the reading: os.NewFile then gives it deadlines. It is a pipe that nobody
	// else reads; of a terminal the flag would stay behind, but no terminal is ever a probe's.
	if err := unix.SetNonblock(int(in.Fd()), true); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := matrix.Serve(stdcontext.Background(), os.NewFile(in.Fd(), "probe's requests"), out); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}
