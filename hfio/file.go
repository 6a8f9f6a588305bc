package hfio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/edsrzf/mmap-go"
)

// OpenOptions tells how files are opened. Nil and the zero value are the default.
type OpenOptions struct {
	// NoMap reads weights into memory instead of mapping the file. A mapped file that
	// another process truncates ends this one (SIGBUS); files that are only ever
	// replaced by renaming, as this package and Python do, are safe to map.
	NoMap bool
}

// Dir returns the files of a directory of the disk, as os.DirFS does, and
// remembers its path so that errors name dir/config.json and not config.json.
// Symbolic links are followed: the hub's cache is made of them. The path of a GGUF file,
// which is a whole model, gives a directory that holds that file only.
func Dir(path string) fs.FS {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && filepath.Ext(path) == ".gguf" {
		dir := filepath.Dir(path)
		return dirFS{path: dir, only: filepath.Base(path), FS: os.DirFS(dir)}
	}
	return dirFS{path: path, FS: os.DirFS(path)}
}

type dirFS struct {
	fs.FS
	path string
	only string // the one file that is there; "": all are
}

func (d dirFS) Open(name string) (fs.File, error) {
	if d.only != "" && name != d.only {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return d.FS.Open(name)
}

func (d dirFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.FS, name)
	if d.only != "" {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() != d.only })
	}
	return entries, err
}

// Sub keeps the path known in sub-directories.
func (d dirFS) Sub(dir string) (fs.FS, error) {
	if !fs.ValidPath(dir) {
		return nil, &fs.PathError{Op: "sub", Path: dir, Err: fs.ErrInvalid}
	}
	return Dir(filepath.Join(d.path, filepath.FromSlash(dir))), nil
}

// fileName returns the name of a file as the user knows it.
func fileName(fsys fs.FS, name string) string {
	if d, ok := fsys.(dirFS); ok {
		return filepath.Join(d.path, filepath.FromSlash(name))
	}
	return name
}

// contents is a file's bytes, mapped or in memory.
type contents struct {
	data   []byte
	mapped mmap.MMap // nil: in memory
}

func (c *contents) close() error {
	mapped := c.mapped
	c.data, c.mapped = nil, nil
	if mapped == nil {
		return nil
	}
	return mapped.Unmap()
}

// open maps a weights file, or reads it where it cannot be mapped: in a file
// system that is not the disk's, when it is empty, or when NoMap asks for it.
func (o *OpenOptions) open(fsys fs.FS, name string) (*contents, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fileError(fsys, name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fileError(fsys, name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", fileName(fsys, name), ErrFormat)
	}
	onDisk, ok := file.(*os.File)
	if ok && info.Size() > 0 && info.Size() <= math.MaxInt && (o == nil || !o.NoMap) {
		mapped, err := mmap.Map(onDisk, mmap.RDONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: map: %w", fileName(fsys, name), err)
		}
		return &contents{data: mapped, mapped: mapped}, nil
	}
	data, err := readWhole(file, info.Size())
	if err != nil {
		return nil, fileError(fsys, name, err)
	}
	return &contents{data: data}, nil
}

// readWhole reads a file; the size is a hint, which only the disk's own is trusted for.
func readWhole(file fs.File, size int64) ([]byte, error) {
	var buffer bytes.Buffer
	if _, ok := file.(*os.File); ok && size < math.MaxInt-bytes.MinRead {
		buffer.Grow(int(size) + bytes.MinRead)
	}
	_, err := buffer.ReadFrom(file)
	return buffer.Bytes(), err
}

// maxTextFile bounds JSON and text files: the largest index of a real checkpoint
// has about ten megabytes.
const maxTextFile = 64 << 20

// readText reads a JSON or text file whole.
func readText(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fileError(fsys, name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTextFile+1))
	if err != nil {
		return nil, fileError(fsys, name, err)
	}
	if len(data) > maxTextFile {
		return nil, formatError(fileName(fsys, name), "longer than %d bytes", maxTextFile)
	}
	return data, nil
}

// exists tells whether a file is there; any error but absence counts as being
// there, so that opening it reports the error.
func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// fileError names the file with its directory, and drops the path that the error
// of the file system has inside.
func fileError(fsys fs.FS, name string, err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("%s: %w", fileName(fsys, name), err)
}

// WriteFile puts data into a file in one step: it writes a temporary file in the
// same directory, syncs it, renames it and syncs the directory. Readers see the
// old file or the new one, whole; on an error the old file stays as it was and the
// temporary one is removed.
func WriteFile(path string, data []byte) (err error) {
	file, err := createTemporary(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if _, err = file.Write(data); err != nil {
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// createTemporary makes a new file beside path. os.CreateTemp is not used because
// its files are readable by the owner only, whatever the umask says.
func createTemporary(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || try == 100 || !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

// syncDir makes a rename durable. Some systems cannot sync a directory; the file
// is complete either way, so that is no error.
func syncDir(dir string) {
	handle, err := os.Open(dir)
	if err != nil {
		return
	}
	defer handle.Close()
	_ = handle.Sync()
}
