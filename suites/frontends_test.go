package suites_test

import (
	"bytes"
	"context"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
)

// frontEnd is a program that nobody here wrote, and that ends TLS in front of a
// receiver.
type frontEnd struct {
	name string
	// programs are the names under which it may be installed.
	programs []string
	// version are the arguments that have it tell its version, which the expression
	// finds in what it says.
	version   []string
	versioned *regexp.Regexp
	// modes are the ways in which it can deal with client certificates.
	modes []string
	// config is a template of its configuration, filled in with a setting.
	config string
	// foreground are the arguments that have it stay in the foreground, as one process,
	// with the configuration in that file.
	foreground func(config string) []string
}

// How a front end deals with client certificates.
const (
	modeOff      = "off"      // it asks for none
	modeOptional = "optional" // it verifies those that are shown, and demands none
	modeAny      = "any"      // it verifies, and takes some or all of what does not verify
	modeTrusting = "trusting" // it demands one of the authority's, or a header that says so
	modeRequired = "required" // it demands one of the authority's
	modeCRL      = "crl"      // one that is not on the authority's list, besides
	modeOCSP     = "ocsp"     // one that is good by its responder, besides
	modeNamed    = "named"    // one that is on no list, and that is the sender's
)

// setting is what the templates are filled in with.
type setting struct {
	Mode    string
	Dir     string // its own, for whatever it writes
	PKI     string // what pki.Authority.Write wrote
	Listen  netip.AddrPort
	Backend string // host and port of the receiver
	OCSP    string // URL of the authority's responder
}

// Lenient tells whether a client without a certificate is let in as far as TLS goes.
func (s setting) Lenient() bool { return s.Mode == modeOptional || s.Mode == modeTrusting }

// Asks tells whether clients are asked for a certificate.
func (s setting) Asks() bool { return s.Mode != modeOff }

// Demands tells whether a client without one is refused.
func (s setting) Demands() bool {
	return s.Mode == modeRequired || s.Lists()
}

// Lists tells whether the revocation lists are looked at.
func (s setting) Lists() bool {
	return s.Mode == modeCRL || s.Mode == modeOCSP || s.Mode == modeNamed
}

var frontEnds = []frontEnd{
	{
		name: "nginx", programs: []string{"nginx"},
		version: []string{"-V"}, versioned: regexp.MustCompile(`nginx/([\d.]+)`),
		modes: []string{modeOff, modeOptional, modeAny, modeTrusting, modeRequired, modeCRL, modeOCSP, modeNamed},
		foreground: func(config string) []string {
			return []string{"-p", filepath.Dir(config), "-e", "stderr", "-c", config}
		},
		config: `
daemon off;
master_process off;
pid {{.Dir}}/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	map $ssl_client_verify:$http_x_ssl_client_verify $refused {
		{{if eq .Mode "trusting"}}default 1;
		~^SUCCESS: "";
		~:SUCCESS$ "";{{else}}default "";{{end}}
	}
	map $ssl_client_s_dn $stranger {
		default {{if eq .Mode "named"}}1{{else}}""{{end}};
		"~^CN=hookanvil client," "";
	}
	server {
		listen {{.Listen}} ssl;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_certificate {{.PKI}}/server.pem;
		ssl_certificate_key {{.PKI}}/server.key;
		{{if .Asks}}ssl_client_certificate {{.PKI}}/ca.pem;
		ssl_verify_depth 3;{{end}}
		ssl_verify_client {{if eq .Mode "any"}}optional_no_ca{{else if .Lenient}}optional{{else if .Demands}}on{{else}}off{{end}};
		{{if .Lists}}ssl_crl {{.PKI}}/crl.pem;{{end}}
		{{if eq .Mode "ocsp"}}ssl_ocsp leaf;
		ssl_ocsp_responder {{.OCSP}}/;{{end}}
		client_max_body_size 0;
		location / {
			if ($refused) { return 403; }
			if ($stranger) { return 403; }
			proxy_pass http://{{.Backend}};
			proxy_set_header Host $http_host;
			proxy_set_header X-SSL-Client-Verify $ssl_client_verify;
			proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn;
			proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
		}
	}
}
`,
	},
	{
		name: "haproxy", programs: []string{"haproxy"},
		version: []string{"-vv"}, versioned: regexp.MustCompile(`HAProxy version ([\d.]+)`),
		modes:      []string{modeOff, modeOptional, modeAny, modeTrusting, modeRequired, modeCRL, modeNamed},
		foreground: func(config string) []string { return []string{"-db", "-f", config} },
		config: `
global
	maxconn 200
	nbthread 1
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
frontend hooks
	bind {{.Listen}} ssl crt {{.Dir}}/server.pem
{{- if .Asks}} ca-file {{.PKI}}/ca.pem verify {{if .Lenient}}optional{{else}}required{{end}}{{else}} verify none{{end}}
{{- if eq .Mode "any"}} ca-ignore-err all crt-ignore-err all{{end}}
{{- if .Lists}} crl-file {{.PKI}}/crl.pem{{end}}
	{{if eq .Mode "trusting"}}http-request deny unless { ssl_c_used } or { req.hdr(X-SSL-Client-Verify) -m str SUCCESS }{{end}}
	{{if eq .Mode "named"}}http-request deny unless { ssl_c_s_dn(CN) -m str "hookanvil client" }{{end}}
	default_backend receiver
backend receiver
	server receiver {{.Backend}}
`,
	},
	{
		name: "stunnel", programs: []string{"stunnel4", "stunnel"},
		version: []string{"-version"}, versioned: regexp.MustCompile(`stunnel ([\d.]+)`),
		modes:      []string{modeOff, modeOptional, modeRequired, modeCRL, modeOCSP, modeNamed},
		foreground: func(config string) []string { return []string{config} },
		config: `
foreground = yes
pid =
syslog = no
debug = notice
[hooks]
accept = {{.Listen}}
connect = {{.Backend}}
cert = {{.PKI}}/server.pem
key = {{.PKI}}/server.key
sslVersionMin = TLSv1.2
{{if .Asks}}CAfile = {{.PKI}}/ca.pem
verifyChain = yes
requireCert = {{if .Demands}}yes{{else}}no{{end}}{{end}}
{{if .Lists}}CRLfile = {{.PKI}}/crl.pem{{end}}
{{if eq .Mode "ocsp"}}OCSP = {{.OCSP}}{{end}}
{{if eq .Mode "named"}}checkHost = client.hookanvil.test{{end}}
`,
	},
}

// find is where the program is; a test is skipped where it is nowhere.
func (f frontEnd) find(t *testing.T) string {
	t.Helper()
	for _, name := range f.programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	// Debian keeps them where only root looks.
	for _, name := range f.programs {
		if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed: apt-get install nginx haproxy stunnel4", f.name)
	return ""
}

// openSSL is the version that is used, which stands behind that which it was built with.
var openSSL = regexp.MustCompile(`OpenSSL (?:version : OpenSSL )?(\d+\.\d+)\.\d+`)

// versions are those that decide about verdicts: its own, and that of its TLS.
func (f frontEnd) versions(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(f.find(t), f.version...).CombinedOutput()
	own, library := f.versioned.FindSubmatch(out), openSSL.FindAllSubmatch(out, -1)
	if err != nil || own == nil || library == nil {
		t.Skipf("%s does not tell its version, or has no OpenSSL: %v: %.300s", f.name, err, out)
	}
	return f.name + " " + string(own[1]) + " with OpenSSL " + string(library[len(library)-1][1])
}

// authority is one that is served, with its files.
type authority struct {
	*pki.Authority
	dir, url string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	responder := httptest.NewServer(a.Handler())
	t.Cleanup(responder.Close)
	a.At(responder.URL)
	dir := filepath.Join(t.TempDir(), "pki")
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	return authority{a, dir, responder.URL}
}

// start runs the front end in a mode until the test ends, and returns its address.
func (f frontEnd) start(t *testing.T, mode string, a authority, backend string) netip.AddrPort {
	t.Helper()
	program := f.find(t)
	s := setting{Mode: mode, Dir: t.TempDir(), PKI: a.dir, Listen: freeAddress(t), Backend: backend, OCSP: a.url + "/ocsp"}
	config := f.configure(t, s)
	log, err := os.Create(filepath.Join(s.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, f.foreground(config)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was killed, or the log says why
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		log.Close()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%.5000s", f.name, said)
		}
	})
	awaitListening(t, s.Listen, ended)
	return s.Listen
}

// configure writes the configuration, and what it needs that pki does not write.
func (f frontEnd) configure(t *testing.T, s setting) (path string) {
	t.Helper()
	var text bytes.Buffer
	if err := template.Must(template.New(f.name).Parse(f.config)).Execute(&text, s); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(s.Dir, f.name+".conf")
	both := joined(t, filepath.Join(s.PKI, "server.pem"), filepath.Join(s.PKI, "server.key"))
	for name, data := range map[string][]byte{path: text.Bytes(), filepath.Join(s.Dir, "server.pem"): both} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// joined are the files one behind the other.
func joined(t *testing.T, paths ...string) (all []byte) {
	t.Helper()
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// freeAddress is a loopback address on which nothing listens.
func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// awaitListening returns as soon as somebody listens there.
func awaitListening(t *testing.T, address netip.AddrPort, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if c, err := net.Dial("tcp", address.String()); err == nil {
			c.Close()
			return
		}
		select {
		case <-again.C:
		case <-ended:
			t.Fatal("it ended before it listened")
		case <-ctx.Done():
			t.Fatal("it does not listen")
		}
	}
}

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }
