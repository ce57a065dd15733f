package mail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/mail"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

const outbound = "ses.POST outbound-emails"

func message(to string) letter.Message {
	return letter.Message{
		Request: "019c2300-0648-70e6-b4af-aa0efa8d6a29", To: redact.String(to), From: "Société Générée <dpo@shop.example>",
		Subject: "Votre demande, reçue", Text: "Bonjour Inès", HTML: "<p>Bonjour Inès</p>",
	}
}

// asked are the parts of a call to SES that tests look at.
type asked struct {
	ConfigurationSetName, FromEmailAddress string
	EmailTags                              []struct{ Name, Value string }
	Destination                            struct{ ToAddresses, CcAddresses, BccAddresses []string }
	Content                                struct {
		Simple struct {
			Subject content
			Body    struct{ Text, Html content }
		}
	}
}

type content struct{ Data, Charset string }

func sender(t *testing.T, e *awstest.Env) (*mail.Sender, *faulty.Transport) {
	t.Helper()
	net := &faulty.Transport{}
	return mail.New(e.With(net.Wrap).Config, e.Getenv("MAIL_CONFIGURATION_SET")), net
}

// TestSend: what reaches SES, and that it takes it.
func TestSend(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	s, net := sender(t, e)
	for to, want := range map[string]string{
		"Ines.Roca@example.test": "Ines.Roca@example.test",
		"ines@Bücher.example":    "ines@xn--bcher-kva.example",
	} {
		net.Reset()
		id, err := s.Send(t.Context(), message(to))
		if err != nil || id == "" {
			t.Fatalf("%q, %v", id, err)
		}
		var got asked
		if calls := net.Calls(); len(calls) != 1 || calls[0].Operation != outbound || json.Unmarshal(calls[0].Body, &got) != nil {
			t.Fatalf("%v", net.Counts())
		}
		var sent asked
		sent.ConfigurationSetName, sent.FromEmailAddress = e.Getenv("MAIL_CONFIGURATION_SET"), "=?utf-8?q?Soci=C3=A9t=C3=A9_G=C3=A9n=C3=A9r=C3=A9e?= <dpo@shop.example>"
		sent.Destination.ToAddresses = []string{want}
		sent.EmailTags = []struct{ Name, Value string }{{"request", "019c2300-0648-70e6-b4af-aa0efa8d6a29"}}
		sent.Content.Simple.Subject = content{"Votre demande, reçue", "UTF-8"}
		sent.Content.Simple.Body.Text, sent.Content.Simple.Body.Html = content{"Bonjour Inès", "UTF-8"}, content{"<p>Bonjour Inès</p>", "UTF-8"}
		if diff := cmp.Diff(sent, got); diff != "" || sent.ConfigurationSetName == "" {
			t.Error(diff)
		}
	}
}

func TestSend_onlyText(t *testing.T) {
	t.Parallel()
	s, net := sender(t, awstest.New(t))
	m := message("ines@example.test")
	m.HTML = ""
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if body := string(net.Calls()[0].Body); strings.Contains(body, "Html") {
		t.Error(body)
	}
}

// TestSend_refuses: what is no single address never leaves.
func TestSend_refuses(t *testing.T) {
	t.Parallel()
	s, net := sender(t, awstest.New(t))
	for _, to := range []string{
		"", "ines", "a@x.test, b@x.test", "Ines <ines@x.test>", "ines@x.test\r\nBcc: eve@x.test", "ines@", "@x.test", "ines@-x.test", `"a b"@x.test`,
	} {
		if _, err := s.Send(t.Context(), message(to)); !errs.Is(err, errs.Invalid) || !errors.Is(err, request.ErrNotTaken) || strings.Contains(err.Error(), "x.test") {
			t.Errorf("%q: %v", to, err)
		}
	}
	m := message("ines@example.test")
	for _, m.From = range []string{"", "dpo", "a@x.test, b@x.test", "a@x.test\r\nBcc: b@x.test"} {
		if _, err := s.Send(t.Context(), m); !errs.Is(err, errs.Invalid) || !errors.Is(err, request.ErrNotTaken) {
			t.Errorf("from %q: %v", m.From, err)
		}
	}
	if n := len(net.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestSend_errors: what SES says, by its error code; its texts quote addresses.
func TestSend_errors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status   int
		code     string
		want     errs.Kind
		notTaken bool
		calls    int
	}{
		"rejected":            {400, "MessageRejected", errs.Invalid, true, 1},
		"bad request":         {400, "BadRequestException", errs.Invalid, true, 1},
		"account suspended":   {400, "AccountSuspendedException", errs.Unavailable, true, 1},
		"sending paused":      {400, "SendingPausedException", errs.Unavailable, true, 1},
		"domain not verified": {400, "MailFromDomainNotVerifiedException", errs.Unavailable, true, 1},
		"no such set":         {404, "NotFoundException", errs.Internal, true, 1},
		"not allowed":         {403, "AccessDeniedException", errs.Internal, true, 1},
		"too fast":            {429, "TooManyRequestsException", errs.Unavailable, true, 4},
		"daily limit":         {400, "LimitExceededException", errs.Unavailable, true, 4},
		"fails":               {500, "InternalServiceErrorException", errs.Unavailable, false, 1},
		"gateway":             {502, "", errs.Unavailable, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.code != "" {
					w.Header().Set("X-Amzn-Errortype", tt.code)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, `{"message":"the identities failed the check: ines@example.test"}`)
			}))
			defer server.Close()
			_, err := mail.New(config(server.URL), "set").Send(t.Context(), message("ines@example.test"))
			if !errs.Is(err, tt.want) || errors.Is(err, request.ErrNotTaken) != tt.notTaken || calls != tt.calls {
				t.Errorf("after %d calls: %v", calls, err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(fmt.Sprintf("%+v", e), "ines") {
					t.Errorf("%T holds the address: %v", e, e)
				}
			}
		})
	}
}

func config(url string) aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: &url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

// TestSend_faults: a message is sent once or not at all; where that is not
// known, the error does not say that it was not taken.
func TestSend_faults(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	for n, fault := range slices.Concat(faulty.Before, faulty.After) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			s, net := sender(t, e)
			net.Break(faulty.Nth(outbound, 1, fault))
			to := fmt.Sprintf("person%d@example.test", n)
			_, err := s.Send(t.Context(), message(to))
			sent := mails(t, e, to)
			surely := fault == faulty.Refused || fault == faulty.Throttled // nothing was sent, or SES said no
			switch {
			case surely && (err != nil || sent != 1):
				t.Errorf("%v, %d mails", err, sent)
			case !surely && (!errs.Is(err, errs.Unavailable) || errors.Is(err, request.ErrNotTaken) || sent > 1):
				t.Errorf("%v, %d mails", err, sent)
			}
			net.Break(faulty.Every(outbound, fault))
			if _, err := s.Send(t.Context(), message(to)); !errs.Is(err, errs.Unavailable) || errors.Is(err, request.ErrNotTaken) != surely {
				t.Errorf("fails for good: %v", err)
			}
		})
	}
}

// mails counts what the emulator has sent to an address.
func mails(t *testing.T, e *awstest.Env, to string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/_ministack/ses/messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(body), to)
}
