//go:build sdk

package reports_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/hookanvil/hookanvil/fixtures/foreign"
	"github.com/hookanvil/hookanvil/reports"
)

// audit is what axe-core found of a page.
type audit struct {
	Passes, Open []string // rules: those that are met, and those that it cannot decide
	Violations   []struct {
		ID, Help string
		Nodes    []string
	}
}

// runAxe runs the rules of WCAG 2.1, levels A and AA. It asks for nothing: the page's policy
// forbids it, and its style is all in it.
const runAxe = `axe.run(document, {preload: false, runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}})
  .then(r => ({passes: r.passes.map(p => p.id), open: r.incomplete.map(i => i.id), violations: r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary)}))}))`

// audited has axe-core look at a page, with everything open that can be. The debugger
// evaluates it, which the page's policy has no say in.
func audited(b *browser, axe string) audit {
	b.t.Helper()
	get[bool](b, "document.querySelectorAll('details').forEach(d => d.open = true) || true")
	get[bool](b, axe+"\n;true")
	return take(b, chromedp.Evaluate[audit](runAxe, chromedp.EvalAwaitPromise))
}

// Nothing on a page is against WCAG 2.1 A or AA, by the rules of axe-core.
func TestSDKOfAccessibility(t *testing.T) {
	ctx := launch(t)
	src, err := os.ReadFile(filepath.Join(foreign.Installed(t, "testdata/axe"), "node_modules/axe-core/axe.min.js"))
	must(t, err)
	clean := sampleRun()
	clean.Results = append(passes("receiver/fidelity", 9), asymmetric("good"))
	clean.Totals = clean.Count()
	pages := map[string]string{
		"failed": htmlOf(t, sampleRun()), "one cause": htmlOf(t, found(findings("receiver/signature", reports.Fail, 9, causes[1].reasons...), findings("receiver/replay", reports.Warn, 9, "answered 409 Conflict"))),
		"sender": htmlOf(t, sampleSenderRun()), "clean": htmlOf(t, clean), "empty": htmlOf(t, reports.Run{State: reports.Incomplete}),
		"load": loadPage(t, sampleMeasurement()), "search": loadPage(t, sampleSearch()),
	}
	for name, page := range pages {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{wide, phone} {
				t.Run(fmt.Sprintf("%s %s %d", name, scheme, width), func(t *testing.T) {
					found := audited(open(ctx, t, page, width, height, prefers(scheme)), string(src))
					for _, v := range found.Violations {
						t.Errorf("%s: %s:\n%s", v.ID, v.Help, strings.Join(v.Nodes, "\n"))
					}
					for _, rule := range found.Open {
						if rule != "color-contrast" { // of signs, and of texts in charts: those our own test measures
							t.Errorf("the rule %s could not be decided", rule)
						}
					}
					for _, rule := range []string{"color-contrast", "document-title", "html-has-lang"} {
						if !slices.Contains(found.Passes, rule) {
							t.Errorf("the rule %s was not tried, or has not passed; those that have are %q", rule, found.Passes)
						}
					}
				})
			}
		}
	}
	// It does find what is wrong.
	t.Run("spoilt", func(t *testing.T) {
		spoilt := strings.Replace(pages["failed"], `<html lang="en">`, "<html>", 1)
		found := audited(open(ctx, t, spoilt, wide, height), string(src))
		var rules []string
		for _, v := range found.Violations {
			rules = append(rules, v.ID)
		}
		if !slices.Contains(rules, "html-has-lang") {
			t.Errorf("a page without a language has the violations %q", rules)
		}
	})
}
