package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// Hook is something that the user lets us do to the sender: an HTTP request or a
// command. It comes from the command line or the user's own configuration, never
// from a scenario.
type Hook struct {
	text    string
	method  string // of an HTTP request; empty for a command
	address hookTemplate
	body    hookTemplate
	headers wire.Headers
	values  []hookTemplate // of the headers
	command []hookTemplate // the words of a command
}

// Values are what the words of a hook stand for.
type Values struct {
	URL      string            // {url}: where the endpoint is
	Token    string            // {token}: tells the deliveries of this event from others
	Event    string            // {event}: its type
	Secret   string            // {secret}: of the endpoint
	Endpoint string            // {endpoint}: its name
	Data     []byte            // {data}: JSON that the event is to carry; an empty object where it is nil
	Headers  map[string]string // {headers}: custom headers, as a JSON object
	Events   []string          // {events}: event types, as a JSON list
	Lease    int               // {lease}: for how many seconds deliveries are asked for
	// {client_certificate} and {client_key}: what the sender is to show to the endpoint,
	// in PEM; empty where that is nothing.
	ClientCertificate, ClientKey string
	// Registration is the body of the answer to the hook that registered the
	// endpoint: {register:/id} is what stands in it at the JSON pointer /id.
	Registration []byte
}

// Outcome is what became of a hook that could be done.
type Outcome struct {
	Status int    // of an HTTP answer; 0 for a command
	Exit   int    // exit code of a command
	Body   []byte // the answer's body, or standard output; at most 64 KiB
	Stderr []byte // standard error of a command; at most 4 KiB
}

// Bounds of what a hook may take. A command may have a program to start; a request
// is made to one that runs.
const (
	hookRequestTime = 10 * time.Second
	hookCommandTime = 60 * time.Second
	hookBody        = 64 << 10
	hookStderr      = 4 << 10
	hookText        = 64 << 10
)

// OK tells of success: a 2xx, or exit code 0.
func (o Outcome) OK() bool {
	if o.Status != 0 {
		return o.Status/100 == 2
	}
	return o.Exit == 0
}

// Refused tells that the sender, or the command, said no: a 4xx, or any other exit
// code than 0.
func (o Outcome) Refused() bool {
	if o.Status != 0 {
		return o.Status/100 == 4
	}
	return o.Exit != 0
}

// At is the text, number or truth value at a JSON pointer (RFC 6901) in the body.
func (o Outcome) At(pointer string) (string, error) {
	found, err := pointAt(o.Body, pointer)
	if err != nil {
		return "", err
	}
	return plainText(found, pointer)
}

// String is the hook as it was written: no value is ever filled in.
func (h *Hook) String() string { return h.text }

// Has tells whether the hook says the word: token, url, secret. A command says it
// by its environment variable as well.
func (h *Hook) Has(word string) bool {
	for _, t := range slices.Concat([]hookTemplate{h.address, h.body}, h.values, h.command) {
		for _, p := range t {
			if p.word == word || h.command != nil && p.word == "" && strings.Contains(p.text, variableOf(word)) {
				return true
			}
		}
	}
	return false
}

// Do fills in the values and makes the request, or runs the command. The error
// tells of a hook that could not be done: no connection, no answer in time, a
// command that did not end, a value that is not there. It shows no value.
func (h *Hook) Do(ctx context.Context, v Values) (Outcome, error) {
	if h.command != nil {
		return h.run(ctx, v)
	}
	return h.request(ctx, v)
}

// --- an HTTP request

func (h *Hook) request(ctx context.Context, v Values) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, hookRequestTime)
	defer cancel()
	req, err := h.newRequest(ctx, v)
	if err != nil {
		return Outcome{}, fmt.Errorf("fill in %s: %w", h.name(), err)
	}
	// One request on one connection, to the place that the user named: no proxy, no
	// redirect, nothing sent again.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: hookBody}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return Outcome{}, fmt.Errorf("make the request %s: %w", h.name(), hookFailure(ctx, err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, hookBody))
	if err != nil {
		return Outcome{}, fmt.Errorf("read the answer to %s: %w", h.name(), hookFailure(ctx, err))
	}
	return Outcome{Status: resp.StatusCode, Body: body}, nil
}

func (h *Hook) newRequest(ctx context.Context, v Values) (*http.Request, error) {
	address, err := h.address.fill(v)
	if err != nil {
		return nil, err
	}
	body, err := h.body.fill(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, h.method, address, strings.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	if body == "" {
		req.Body, req.GetBody = http.NoBody, nil
	}
	req.Header.Set("User-Agent", "hookanvil")
	if media := h.mediaType(); media != "" {
		req.Header.Set("Content-Type", media)
	}
	return req, h.addHeaders(req, v)
}

func (h *Hook) addHeaders(req *http.Request, v Values) error {
	given := http.Header{}
	for i, f := range h.headers {
		value, err := h.values[i].fill(v)
		if err != nil {
			return fmt.Errorf("header %s: %w", f.Name, err)
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf("header %s: a value holds a control character, which would end the line", f.Name)
		}
		given.Add(f.Name, value)
	}
	for name, values := range given {
		req.Header[name] = values
	}
	if host := given.Get("Host"); host != "" {
		req.Host = host
	}
	return nil
}

// name is what messages call the hook: its kind, not its contents, which may hold
// what the user would not want shown.
func (h *Hook) name() string {
	if h.command != nil {
		return "exec " + quoteWord(h.command[0].source())
	}
	where := h.address.source()
	if u, err := url.Parse(where); err == nil {
		u.RawQuery = ""
		where = u.Redacted()
	}
	before, _, _ := strings.Cut(where, "?")
	return h.method + " " + before
}

// hookFailure is an error without the URL, in which values may stand.
func hookFailure(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("there was no complete answer within %s; is it the right address, and is the sender running?", hookRequestTime)
	}
	return withoutURL(err)
}

func withoutURL(err error) error {
	var told *url.Error
	if errors.As(err, &told) {
		return told.Err
	}
	return err
}

// --- a command

func (h *Hook) run(ctx context.Context, v Values) (Outcome, error) {
	words := make([]string, len(h.command))
	for i, t := range h.command {
		var err error
		if words[i], err = h.argument(i, t, v); err != nil {
			return Outcome{}, fmt.Errorf("fill in %s: %w", h.name(), err)
		}
	}
	environment, err := h.environment(v)
	if err != nil {
		return Outcome{}, fmt.Errorf("fill in %s: %w", h.name(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, hookCommandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	out, diagnosis := &hookOutput{max: hookBody}, &hookOutput{max: hookStderr}
	cmd.Stdout, cmd.Stderr = out, diagnosis
	// What the command leaves running, such as a sender that was started again, may
	// hold its output open; it is not waited for.
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	err = cmd.Run()
	done := Outcome{Body: out.data, Stderr: diagnosis.data}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return done, nil
	case ctx.Err() != nil:
		return done, h.ended(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		return done, nil
	case errors.As(err, &exit) && exit.Exited():
		done.Exit = exit.ExitCode()
		return done, nil
	}
	return done, fmt.Errorf("run %s: %w", h.name(), withoutPath(err))
}

func (h *Hook) ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("run %s: it did not end in time (%s at most), and was ended with all that it had started", h.name(), hookCommandTime)
	}
	return fmt.Errorf("run %s: it was ended, since the run was: %w", h.name(), ctx.Err())
}

// withoutPath is an error of starting a program without what fork and exec say
// around it.
func withoutPath(err error) error {
	var told *os.PathError
	if errors.As(err, &told) {
		return told.Err
	}
	return err
}

// argument is one word of the command line, filled in.
func (h *Hook) argument(i int, t hookTemplate, v Values) (string, error) {
	text, err := t.fill(v)
	if err != nil {
		return "", err
	}
	switch {
	case strings.ContainsRune(text, 0):
		return "", fmt.Errorf("the value in word %d holds a NUL, which no argument can", i+1)
	case t.startsWithWord() && strings.HasPrefix(text, "-") && !h.optionsEnd(i):
		return "", fmt.Errorf("the value of {%s} begins with -, and the command would take it for an option; put -- before it, or write --name={%[1]s}", t[0].word)
	}
	return text, nil
}

// optionsEnd tells whether -- stands before word i.
func (h *Hook) optionsEnd(i int) bool {
	for _, t := range h.command[:i] {
		if t.source() == "--" {
			return true
		}
	}
	return false
}

// environment gives the values to a command that asks for them by variable, as
// a script for a shell must: "$HOOK_URL".
func (h *Hook) environment(v Values) ([]string, error) {
	var list []string
	for _, w := range hookWords {
		if w.name == wordRegister || !h.Has(w.name) {
			continue
		}
		text := w.text(v)
		if strings.ContainsRune(text, 0) {
			return nil, fmt.Errorf("the value of {%s} holds a NUL, which no variable can", w.name)
		}
		list = append(list, variableOf(w.name)+"="+text)
	}
	return list, nil
}

func variableOf(word string) string { return "HOOK_" + strings.ToUpper(word) }

// hookOutput keeps the first bytes of what is written to it and drops the rest. It
// embeds no buffer, whose ReadFrom would be called in place of Write.
type hookOutput struct {
	max  int
	data []byte
}

func (o *hookOutput) Write(p []byte) (int, error) {
	o.data = append(o.data, p[:min(len(p), o.max-len(o.data))]...)
	return len(p), nil
}
