// Package ipc is the six kinds of interprocess communication that podlab shows, in pure Go.
package ipc
