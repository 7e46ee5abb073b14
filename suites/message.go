package suites

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// ReadRequest reads a request as it is captured or written down: a request line,
// which may be missing, header lines, an empty line, and the body byte for byte.
// Where a Content-Length is given, the body ends there: editors add line ends.
func ReadRequest(raw []byte) (profile.Incoming, error) {
	in, rest, err := readHead(raw)
	if err != nil {
		return in, err
	}
	in.Body = rest
	return in, cutBody(&in)
}

// readHead reads a request up to its body, and returns what follows.
func readHead(raw []byte) (in profile.Incoming, rest []byte, err error) {
	in.Method = "POST"
	first := true
	for {
		line, after, found := bytes.Cut(raw, []byte("\n"))
		raw = after
		text := strings.TrimSuffix(string(line), "\r")
		if text == "" {
			break
		}
		if method, target, ok := requestLine(text); ok && first {
			in.Method, in.URL = method, target
		} else if name, value, ok := strings.Cut(text, ":"); ok && token.MatchString(name) {
			in.Headers.Add(name, strings.TrimSpace(value))
		} else {
			return in, nil, fmt.Errorf("read the request: %s is no header; write headers, an empty line, and the body", strictyaml.Quote(text))
		}
		if first = false; !found {
			break
		}
	}
	return in, raw, nil
}

// requestLine reads "POST /hook HTTP/1.1".
func requestLine(line string) (method, target string, ok bool) {
	words := strings.Split(line, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return "", "", false
	}
	return words[0], words[1], true
}

func cutBody(in *profile.Incoming) error {
	if in.Headers.Has("Transfer-Encoding") {
		return errors.New("read the request: its body is in chunks; write the body itself and leave Transfer-Encoding out")
	}
	length := in.Headers.Get("Content-Length")
	if length == "" {
		return nil
	}
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("read the request: %s is no Content-Length", strictyaml.Quote(length))
	case n > len(in.Body):
		return fmt.Errorf("read the request: Content-Length is %d, and the body has %d bytes", n, len(in.Body))
	}
	in.Body = in.Body[:n]
	return nil
}
