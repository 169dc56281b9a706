package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

type (
	object = map[string]any
	list   = []any
)

// bundle writes the OCI description of one container: the floor's job in an
// OCI runtime's words. join is a directory with ipc, net and uts to enter, or
// "" for new ones.
func (w work) bundle(name, join, arg string) (string, error) {
	namespaces := list{object{"type": "pid"}, object{"type": "mount"}, object{"type": "cgroup"}}
	for kind, file := range map[string]string{"ipc": "ipc", "network": "net", "uts": "uts"} {
		ns := object{"type": kind}
		if join != "" {
			ns["path"] = filepath.Join(join, file)
		}
		namespaces = append(namespaces, ns)
	}
	keep := list{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}
	config := object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": 0, "gid": 0}, "args": list{"/floor", arg}, "env": list{"PATH=/bin"}, "cwd": "/",
			"capabilities":    object{"bounding": keep, "effective": keep, "permitted": keep},
			"noNewPrivileges": true,
		},
		"root": object{"path": w.rootfs()},
		"mounts": list{
			mount("/proc", "proc", "noexec", "nodev"), mount("/dev", "tmpfs", "strictatime", "mode=755", "size=64m"),
			mount("/dev/pts", "devpts", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
			mount("/dev/shm", "tmpfs", "noexec", "nodev", "mode=1777", "size=64m"),
			mount("/dev/mqueue", "mqueue", "noexec", "nodev"), mount("/sys", "sysfs", "noexec", "nodev", "ro"),
		},
		"linux": object{
			"namespaces": namespaces,
			"resources":  object{"devices": list{object{"allow": false, "access": "rwm"}}},
			"maskedPaths": list{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"},
			"readonlyPaths": list{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if join == "" {
		config["hostname"] = "pod"
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	dir := w.path("bundle-" + name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
}

func mount(target, fs string, options ...string) object {
	return object{"destination": target, "type": fs, "source": fs, "options": append([]string{"nosuid"}, options...)}
}
