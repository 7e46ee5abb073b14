package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of what a probe may take.
const (
	probeTime = 5 * time.Second
	probeBody = 1 << 20
)

// tokenWord stands for a delivery's token in a probe's URL or arguments.
const tokenWord = "{token}"

// NewHTTPProbe reads a counter by HTTP GET. The URL's fragment is a JSON pointer to
// the counter in the answer, and {token} in the URL stands for the delivery's
// token: http://127.0.0.1:8080/effects?token={token}#/count. Without {token} the
// counter is taken for the total of all deliveries.
func NewHTTPProbe(rawURL string) (Probe, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("read the probe URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("read the probe URL %q: it must begin with http:// or https:// and name a host", rawURL)
	}
	pointer := u.Fragment
	if pointer != "" && !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("read the probe URL %q: the part behind # is a JSON pointer and begins with /, such as #/count", rawURL)
	}
	address, _, _ := strings.Cut(rawURL, "#")
	// Redirects are not followed and no proxy is used: the counter is where the
	// user says it is.
	client := &http.Client{
		Timeout:       probeTime,
		Transport:     &http.Transport{Proxy: nil, DisableCompression: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &httpProbe{address, pointer, client}, nil
}

type httpProbe struct {
	address, pointer string
	client           *http.Client
}

func (p *httpProbe) Keyed() bool    { return strings.Contains(p.address, tokenWord) }
func (p *httpProbe) String() string { return "HTTP counter" }

func (p *httpProbe) Count(ctx context.Context, token string) (int, error) {
	address := strings.ReplaceAll(p.address, tokenWord, url.QueryEscape(token))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, fmt.Errorf("read the probe: %w", err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the probe: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("read the probe: it answered %d instead of 200", resp.StatusCode)
	}
	return counter(io.LimitReader(resp.Body, probeBody), p.pointer)
}

// counter reads a JSON document and the number that a JSON pointer leads to.
func counter(r io.Reader, pointer string) (int, error) {
	var v any
	d := json.NewDecoder(r)
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return 0, fmt.Errorf("read the probe: its answer is no JSON: %w", err)
	}
	for _, name := range strings.Split(pointer, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(node) {
				return 0, fmt.Errorf("read the probe: nothing stands at %s", pointer)
			}
			v = node[i]
		default:
			return 0, fmt.Errorf("read the probe: nothing stands at %s", pointer)
		}
	}
	number, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("read the probe: no number stands at %q", pointer)
	}
	return parseCount(number.String())
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("read the probe: %q is no count", clip(s, 40))
	}
	return n, nil
}

// NewExecProbe runs a command, given as words and run without a shell, that prints
// a count. {token} in a word stands for the delivery's token; without it the
// count is taken for the total of all deliveries.
func NewExecProbe(command string) (Probe, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("read the probe command: it is empty")
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("read the probe command: %w", err)
	}
	return execProbe{words}, nil
}

type execProbe struct{ words []string }

func (p execProbe) Keyed() bool    { return strings.Contains(strings.Join(p.words, " "), tokenWord) }
func (p execProbe) String() string { return "command" }

func (p execProbe) Count(ctx context.Context, token string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	words := make([]string, len(p.words))
	for i, w := range p.words {
		words[i] = strings.ReplaceAll(w, tokenWord, token)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out limitedBuffer
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("run the probe command %s: %w", p.words[0], err)
	}
	return parseCount(strings.TrimSpace(out.kept.String()))
}

// limitedBuffer keeps the first bytes of what is written to it and drops the rest.
// The buffer is not embedded: os/exec would find its ReadFrom, which has no limit.
type limitedBuffer struct{ kept bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), max(0, probeBody-b.kept.Len()))])
	return len(p), nil
}

// NewFileProbe follows a file to which the receiver appends one line, JSON by
// custom, for each effect. A line is put down to the delivery whose token it
// contains. Only what is appended from now on counts.
func NewFileProbe(path string) (Probe, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return &fileProbe{path: path}, nil // the receiver may not have written it yet
	}
	if err != nil {
		return nil, fmt.Errorf("follow the probe file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("follow the probe file %s: it is no regular file", path)
	}
	return &fileProbe{path: path, offset: info.Size()}, nil
}

// fileProbe keeps the lines that were appended, bounded by fileProbeBytes.
type fileProbe struct {
	path   string
	mu     sync.Mutex
	offset int64
	rest   []byte // a line whose end was not written yet
	lines  [][]byte
	size   int
}

const fileProbeBytes = 64 << 20

func (p *fileProbe) Keyed() bool    { return true }
func (p *fileProbe) String() string { return "file of effects" }

func (p *fileProbe) Count(_ context.Context, token string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readOn(); err != nil {
		return 0, fmt.Errorf("follow the probe file: %w", err)
	}
	n := 0
	for _, line := range p.lines {
		if bytes.Contains(line, []byte(token)) {
			n++
		}
	}
	return n, nil
}

// readOn reads what was appended since the last time. A file that became shorter
// was begun anew.
func (p *fileProbe) readOn() error {
	f, err := os.Open(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < p.offset {
		p.offset, p.rest = 0, nil
	}
	b, err := io.ReadAll(io.NewSectionReader(f, p.offset, info.Size()-p.offset))
	if err != nil {
		return err
	}
	p.offset += int64(len(b))
	p.size += len(b)
	if p.size > fileProbeBytes {
		return fmt.Errorf("%s grew by more than %d MiB during the run", p.path, fileProbeBytes>>20)
	}
	lines := bytes.Split(append(p.rest, b...), []byte("\n"))
	p.rest = lines[len(lines)-1]
	p.lines = append(p.lines, lines[:len(lines)-1]...)
	return nil
}
