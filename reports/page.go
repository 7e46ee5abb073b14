package reports

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// What all pages share: one style, one script, the templates of tables and charts, and a
// policy under which a browser loads nothing and runs nothing else.

//go:embed page
var pageFiles embed.FS

var (
	pageStyle  = template.CSS(pageFile("style.css"))
	pageScript = template.JS(pageFile("script.js"))

	// A page without a script may not run any.
	stillPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + sourceHash(string(pageStyle))
	pagePolicy  = stillPolicy + "; script-src " + sourceHash(string(pageScript))

	pages = template.Must(template.New("").Funcs(template.FuncMap{"join": strings.Join}).ParseFS(pageFiles, "page/*.html"))
)

func pageFile(name string) string {
	b, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

// sourceHash is how a policy names what stands in the page.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// writePage fills in a template. Two number signs never stand side by side: behind them a
// continuous-integration service looks for commands, should the page be written to its log.
func writePage(w io.Writer, name string, view any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, view); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("##"), []byte("#&#35;")))
	return err
}

// shown is a text as a page shows it: on one line, without control characters and what turns
// the direction of writing, and no longer than somebody reads.
func shown(s string) string { return clip(visible(head(s, 4*mostText)), mostText) }

// visible is s with everything escaped that would not be seen.
func visible(s string) string { return asWritten.Replace(quoted(s)) }

func shownAll(texts []string) []string {
	const most = 100
	all := make([]string, 0, min(len(texts), most+1))
	for i, text := range texts {
		if i == most {
			return append(all, fmt.Sprintf("and %d more", len(texts)-most))
		}
		all = append(all, shown(text))
	}
	return all
}
