package matrix

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/podlab/podlab/ipc"
)

// A kind is how objects of one row are made, found and removed. A token is a text that such an object can carry: bytes
// in most, the values of semaphores in two.
type kind struct {
	place  func(nonce string) string                      // a name for a new object
	out    func() string                                  // a token for the owner to put into it
	back   func() string                                  // a token for a viewer to answer with
	create func(place, out string) (held, error)          // fails if the name is taken
	look   func(place, back string) (out string, _ error) // finds the object, takes a token out and gives one back
	unlink func(place string) error                       // removes it by its name, whoever made it
}

// held is an object in its owner's hands.
type held interface {
	where() string          // its place: what create was given, or what the kernel chose
	check() (string, error) // which token a viewer gave back, "" for none; afterwards the object is as new
	close() error           // gives up the descriptors and the listener; unlink removes the rest
}

// kinds are the rows' kinds, by the rows' names.
var kinds = map[string]kind{
	"shm":       {place: key, out: bytes16, back: bytes16, create: createShm, look: lookShm, unlink: unlinkShm},
	"sem":       {place: key, out: values, back: values, create: createSem, look: lookSem, unlink: unlinkSem},
	"msg":       {place: key, out: bytes16, back: bytes16, create: createMsg, look: lookMsg, unlink: unlinkMsg},
	"mq":        {place: name, out: bytes16, back: bytes16, create: createQueue, look: lookQueue, unlink: ipc.RemoveQueue},
	"posix-shm": {place: name, out: bytes16, back: bytes16, create: createShared, look: lookShared, unlink: ipc.RemoveShared},
	"posix-sem": {place: name, out: value, back: posts, create: createSemaphore, look: lookSemaphore, unlink: ipc.RemoveSemaphore},
	"abstract":  {place: abstract, out: bytes16, back: bytes16, create: listenUnix, look: lookUnix, unlink: nothing},
	"socket":    {place: file, out: bytes16, back: bytes16, create: listenUnix, look: lookUnix, unlink: os.Remove},
	"tcp":       {place: port, out: bytes16, back: bytes16, create: listenTCP, look: lookTCP, unlink: nothing},
}

// mode of everything that is made: what decides here is where one looks from, never who looks (EACCES).
const mode = 0o666

// prefix tells whose the objects are, to somebody who lists them in the moment when they exist.
const prefix = "podlab-matrix-"

func name(nonce string) string     { return "/" + prefix + nonce }
func abstract(nonce string) string { return "@" + prefix + nonce }
func file(nonce string) string     { return prefix + nonce }
func port(string) string           { return "127.0.0.1:0" }
func nothing(string) error         { return nil }

// key is a random key; not 0, which is IPC_PRIVATE and has no name.
func key(nonce string) string {
	n, err := strconv.ParseUint(nonce[:min(8, len(nonce))], 16, 32)
	if err != nil || n == 0 {
		n = 1
	}
	return fmt.Sprintf("0x%08x", n)
}

// newNonce is 16 random bytes in hexadecimal.
func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand
	return hex.EncodeToString(b[:])
}

// tokenLen is that of the token in bytes, as text.
const tokenLen = 32

func bytes16() string { return newNonce() }

// half of the semaphores of a set carry what goes out, half what comes back.
const half = 8

// values are those of half the set: each fits a semaphore (32767 at most, semop(2)) and none is 0, for adding 0 is
// another operation, waiting for zero.
func values() string {
	var v []string
	for range half {
		v = append(v, strconv.Itoa(1+mathrand.IntN(32766)))
	}
	return strings.Join(v, " ")
}

// value is that of a single semaphore, far from its limit.
func value() string { return strconv.Itoa(1 + mathrand.IntN(1<<24)) }

// maxPosts is the largest number of posts that is a token.
const maxPosts = 200

// posts is how often to post.
func posts() string { return strconv.Itoa(1 + mathrand.IntN(maxPosts)) }

// checkToken refuses a token that is too long for an object's field: it came over a pipe.
func checkToken(token string) error {
	if len(token) != tokenLen {
		return fmt.Errorf("a token of %d bytes, want %d", len(token), tokenLen)
	}
	return nil
}
