package ipc

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

// Kind is a kind of IPC object.
type Kind string

// The six kinds. The first four follow the IPC namespace, the last two are files in /dev/shm and follow its mount.
const (
	KindShm      Kind = "shm"
	KindSem      Kind = "sem"
	KindMsg      Kind = "msg"
	KindQueue    Kind = "mq"
	KindShared   Kind = "posix-shm"
	KindNamedSem Kind = "posix-sem"
)

// Kinds returns all kinds in order.
func Kinds() []Kind {
	return []Kind{KindShm, KindSem, KindMsg, KindQueue, KindShared, KindNamedSem}
}

// SystemV tells whether objects of the kind have a key and an identifier rather than a name.
func (k Kind) SystemV() bool { return k == KindShm || k == KindSem || k == KindMsg }

// Object is one IPC object, with what its kind has of this.
type Object struct {
	Kind Kind   `json:"kind"`
	Key  Key    `json:"-"`              // System V; Private for one without a key
	ID   int    `json:"-"`              // System V
	Name string `json:"name,omitempty"` // POSIX: "/jobs"

	Mode       fs.FileMode `json:"-"` // the low 9 bits; in JSON "0600"
	UID        int         `json:"uid"`
	GID        int         `json:"gid"`
	CreatorUID int         `json:"creatorUid"` // who made it; for a POSIX object the same as UID
	CreatorGID int         `json:"creatorGid"`

	Size     int64 `json:"size"`               // bytes: of the memory; of the messages in a queue; of a semaphore's file; 0 for sem
	Resident int64 `json:"resident,omitempty"` // bytes of shm and posix-shm that are in memory
	Swapped  int64 `json:"swapped,omitempty"`  // and of shm, that are in swap space

	Attached   int  `json:"-"`                    // shm: how many mappings; others don't know
	Messages   int  `json:"-"`                    // msg, mq
	Semaphores int  `json:"semaphores,omitempty"` // sem: how many in the set
	Unreadable bool `json:"unreadable,omitempty"` // the caller may not read it, so what follows, and of an mq what it holds, is unknown

	Values      []int `json:"values,omitempty"`      // sem, posix-sem; nil if unknown
	Waiting     int   `json:"waiting,omitempty"`     // posix-sem: who waits, or was killed waiting
	MaxMessages int64 `json:"maxMessages,omitempty"` // mq
	MessageSize int64 `json:"messageSize,omitempty"` // mq
	NotifyPid   int   `json:"notifyPid,omitempty"`   // mq: who is told when a message arrives, mq_notify(3)

	// As the PID namespace of who listed sees them: 0 for a process that isn't in it. Kernels keep these numbers when
	// the process has ended. A file has none.
	CreatorPid     int   `json:"creatorPid,omitempty"`     // shm
	LastPid        int   `json:"lastPid,omitempty"`        // shm: the last shmat or shmdt
	LastPids       []int `json:"lastPids,omitempty"`       // sem: the last semop that changed each value
	LastSendPid    int   `json:"lastSendPid,omitempty"`    // msg
	LastReceivePid int   `json:"lastReceivePid,omitempty"` // msg

	Removed bool `json:"removed,omitempty"` // shm: IPC_RMID while it was attached; gone with the last detach
	Locked  bool `json:"locked,omitempty"`  // shm: not to be swapped out

	// The zero time: never yet.
	ChangeTime  time.Time `json:"changeTime,omitzero"`  // made, or its owner or mode changed
	AttachTime  time.Time `json:"attachTime,omitzero"`  // shm
	DetachTime  time.Time `json:"detachTime,omitzero"`  // shm
	OpTime      time.Time `json:"opTime,omitzero"`      // sem
	SendTime    time.Time `json:"sendTime,omitzero"`    // msg
	ReceiveTime time.Time `json:"receiveTime,omitzero"` // msg
	AccessTime  time.Time `json:"accessTime,omitzero"`  // files, queues too
	ModifyTime  time.Time `json:"modifyTime,omitzero"`

	Inode uint64 `json:"inode,omitempty"` // files; of shm, the ID is what /proc/PID/maps has for an inode
	Dev   uint64 `json:"dev,omitempty"`
}

// Title is what a user calls the object: "key 0x6a6f6273", "id 3" where there is no key, "/jobs".
func (o Object) Title() string {
	switch {
	case !o.Kind.SystemV():
		return o.Name
	case o.Key == Private:
		return "id " + strconv.Itoa(o.ID)
	}
	return "key " + o.Key.String()
}

// plain is Object without its methods.
type plain Object

// objectJSON has what needs another shape in JSON. Numbers that may well be 0 are there for the kinds that have them.
type objectJSON struct {
	plain
	Key      *Key   `json:"key,omitempty"`
	ID       *int   `json:"id,omitempty"`
	Mode     string `json:"mode"`
	Attached *int   `json:"attached,omitempty"`
	Messages *int   `json:"messages,omitempty"`
}

// MarshalJSON writes the mode in octal, as everybody reads it, and the key in hexadecimal.
func (o Object) MarshalJSON() ([]byte, error) {
	j := objectJSON{plain: plain(o), Mode: fmt.Sprintf("%04o", o.Mode.Perm())}
	if o.Kind.SystemV() {
		j.Key, j.ID = &o.Key, &o.ID
	}
	switch o.Kind {
	case KindShm:
		j.Attached = &o.Attached
	case KindMsg, KindQueue:
		j.Messages = &o.Messages
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Object) UnmarshalJSON(data []byte) error {
	var back Object
	j := objectJSON{Key: &back.Key, ID: &back.ID, Attached: &back.Attached, Messages: &back.Messages}
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	mode, err := strconv.ParseUint(j.Mode, 8, 9)
	if err != nil {
		return fmt.Errorf("mode %q: %w", j.Mode, err)
	}
	key, id, attached, messages := back.Key, back.ID, back.Attached, back.Messages
	*o = Object(j.plain)
	o.Key, o.ID, o.Attached, o.Messages, o.Mode = key, id, attached, messages, fs.FileMode(mode)
	return nil
}
