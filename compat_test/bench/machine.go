package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// describeMachine says what Linux tells of the processors; elsewhere their kind only.
func describeMachine() string {
	parts := []string{fmt.Sprintf("%s, %d cores", processor("model name"), runtime.NumCPU())}
	if family := processor("cpu family"); family != "" {
		parts[0] = fmt.Sprintf("%s (family %s, model %s), %d cores", processor("model name"), family, processor("model"), runtime.NumCPU())
	}
	if list := caches(); len(list) > 0 {
		parts = append(parts, strings.Join(list, ", "))
	}
	var sets []string
	flags := strings.Fields(processor("flags"))
	for _, set := range []string{"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_bf16"} {
		if slices.Contains(flags, set) {
			sets = append(sets, set)
		}
	}
	parts = append(parts, strings.Join(sets, " "), runtime.GOOS+"/"+runtime.GOARCH)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// processor returns a field of the first processor in /proc/cpuinfo.
func processor(field string) string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// caches lists the first processor's.
func caches() []string {
	var list []string
	dirs, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*") // the pattern is right
	for _, dir := range dirs {
		read := func(name string) string {
			text, _ := os.ReadFile(filepath.Join(dir, name)) // absent: left out below
			return strings.TrimSpace(string(text))
		}
		if kind := read("type"); kind == "Data" || kind == "Unified" {
			list = append(list, fmt.Sprintf("L%s %s", read("level"), read("size")))
		}
	}
	return list
}

// noteLoad remembers the load average of the last minute.
func (b *bench) noteLoad() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), " ")
	if load, err := strconv.ParseFloat(first, 64); err == nil {
		b.loads = append(b.loads, load)
	}
}
