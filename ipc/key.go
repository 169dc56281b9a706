package ipc

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Key is the name of a System V object in its IPC namespace. The three kinds have a space of keys each: the same key
// may stand for a segment, a set of semaphores and a queue (sysvipc(7)).
type Key int32

// Private is IPC_PRIVATE: with it, every call makes a new object, whether asked to create or not, and no key leads to it.
const Private Key = 0

// maxKeyName is as long as a file's name, and so a POSIX object's, may be (NAME_MAX).
const maxKeyName = 255

// String is the key as ipcs(1) prints it.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// MarshalText gives the key as String does.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText takes what MarshalText gives, Private too, and no names.
func (k *Key) UnmarshalText(text []byte) (err error) {
	*k, err = hexKey(string(text))
	return err
}

// ParseKey reads a key: 0x and hexadecimal digits are the key itself, anything else is a name. The same name is the
// same key on every machine and in every container, which ftok(3) can't promise: it takes the inode and device of a
// file. Two names may share a key, one pair in 2³²; whoever minds writes the key in hexadecimal.
func ParseKey(s string) (Key, error) {
	switch {
	case s == "":
		return 0, fmt.Errorf("key %q: write 0x… or a name", s)
	case len(s) > maxKeyName:
		return 0, fmt.Errorf("key %q…: %d bytes, %d at most", s[:16], len(s), maxKeyName)
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		k, err := hexKey(s)
		if err == nil && k == Private {
			err = fmt.Errorf("key %s: this is IPC_PRIVATE, which names no object", s)
		}
		return k, err
	case strings.Trim(s, "0123456789") == "":
		// Decimal for ipcmk(1), hexadecimal for those who read it off ipcs(1): it would be wrong for some.
		return 0, fmt.Errorf("key %s: a number could be decimal or hexadecimal: write 0x… or a name", s)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	if k := Key(h.Sum32()); k != Private {
		return k, nil
	}
	return 1, nil // some names hash to 0; any fixed key but Private will do
}

func hexKey(s string) (Key, error) {
	digits := strings.TrimPrefix(strings.ToLower(s), "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	switch {
	case len(digits) == len(s) || err != nil && len(digits) <= 16:
		return 0, fmt.Errorf("key %q: want 0x and hexadecimal digits", s)
	case err != nil || n > 0xffffffff: // key_t is 32 bits
		return 0, fmt.Errorf("key %q: greater than 0xffffffff", s)
	}
	return Key(uint32(n)), nil
}

// Get says how an object is found by its key. The zero value finds an existing one, and asks for no permission.
type Get struct {
	Create    bool        // make the object where the key has none
	Exclusive bool        // with Create: EEXIST where it has one
	Perm      fs.FileMode // low 9 bits: a new object's mode, umask or not; of an existing one, what the caller must be allowed to do
}

func (g Get) flags() int {
	flags := int(g.Perm.Perm())
	if g.Create {
		flags |= unix.IPC_CREAT
	}
	if g.Exclusive {
		flags |= unix.IPC_EXCL
	}
	return flags
}
