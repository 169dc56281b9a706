// Package matrix measures who can reach whose objects of interprocess communication, and judges what it measured.
//
// A probe (Serve) is a process in some viewpoint: a container, a sibling container, another pod, the host. One of them,
// the owner, makes nine objects, one after another; the others look for each, and really exchange data with it, out
// and back: that a name can be opened proves little. What is to be expected is computed from inode numbers alone
// (Predict): of the IPC and network namespaces, of the file system at /dev/shm, of the directory that is a volume.
//
// "Can't be reached" is believed only with a positive control: the same object, looked for by a neighbour that shares
// everything, before and after, was there. Without, a cell is not proven, and that is as bad as a wrong one.
//
// The package prints nothing and knows no pods: whoever calls it starts the probes and hands over their pipes (Link).
// It is not for use beside other work in a process: Serve takes the whole process, with its umask and its signals.
package matrix
