package suites_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/suites"
)

// A handshake is answered as is due, whatever is scripted for deliveries. The code is that
// of RFC 4231, test case 2.
func TestListenAnswersHandshakes(t *testing.T) {
	t.Setenv("CONSUMER_SECRET", "Jefe")
	x := listen(t, suites.Settings{Profile: "x", Secret: []string{"env:CONSUMER_SECRET"}}, suites.ListenSettings{Answer: "500"})
	got, err := http.Get(x.url + "?crc_token=what%20do%20ya%20want%20for%20nothing%3F")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if want := `{"response_token":"sha256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="}`; err != nil || got.StatusCode != http.StatusOK || string(body) != want {
		t.Errorf("%d %s %v, want %s", got.StatusCode, body, err, want)
	}
	if a := <-x.arrivals; a.Finding.Verdict != suites.Unverified || a.Answer != "as the handshake is due" {
		t.Errorf("%+v, answered %s", a.Finding, a.Answer)
	}
	if status := post(t, x.url, `{}`); status != http.StatusInternalServerError {
		t.Errorf("a delivery is answered %d", status)
	}
}

// A delivery is acknowledged as the provider wants it: Dropbox Sign sends again what is not
// answered with its text.
func TestListenAcknowledgesAsIsDue(t *testing.T) {
	x := listen(t, suites.Settings{Profile: "dropbox-sign"}, suites.ListenSettings{Answer: "200,500"})
	for _, want := range []string{"Hello API Event Received", ""} {
		got, err := http.Post(x.url, "application/json", strings.NewReader(`{"event":{"event_type":"callback_test","event_time":"1","event_hash":"00"}}`))
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		body, err := io.ReadAll(got.Body)
		if err != nil || string(body) != want {
			t.Errorf("%d %s %v, want %s", got.StatusCode, body, err, want)
		}
		<-x.arrivals
	}
}
