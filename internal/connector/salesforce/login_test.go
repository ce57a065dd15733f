package salesforce_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/salesforce"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/errs"
)

func TestNew_refusesBadConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{}`: "base_url is missing",
		`{"base_url":"https://login.salesforce.com"}`:                                      "must be the org's My Domain",
		`{"base_url":"https://test.salesforce.com"}`:                                       "must be the org's My Domain",
		`{"base_url":"http://a.my.salesforce.com"}`:                                        "https",
		`{"base_url":"https://a.my.salesforce.com/x"}`:                                     "no path",
		`{"base_url":"` + base + `","version":"66"}`:                                       "version",
		`{"base_url":"` + base + `","version":"66.0/../x"}`:                                "version",
		`{"base_url":"` + base + `","erase":"all"}`:                                        "erase",
		`{"base_url":"` + base + `","external_id":"a b"}`:                                  "external_id",
		`{"base_url":"` + base + `","custom":[{"object":"A__c"}]}`:                         "whose",
		`{"base_url":"` + base + `","custom":[{"object":"A__c WHERE","contact":"B__c"}]}`:  "no name",
		`{"base_url":"` + base + `","zoom_ids":{"Contact.Z__c":"user_id"}}`:                "zoom is missing",
		`{"base_url":"` + base + `","zoom":"zoom","zoom_ids":{"Other__c.Z__c":"user_id"}}`: "no field",
		`{"base_url":"` + base + `","zoom":"zoom","zoom_ids":{"Contact.Z__c":"password"}}`: "none of",
		`{"base_url":"` + base + `","skip":["Contact","Lead"]}`:                            "skip",
		`{"base_url":"` + base + `","colour":"red"}`:                                       "unknown field",
	} {
		a := &org{Server: fake.New(fake.Options{Empty: true}), t: t, config: config}
		if _, err := salesforce.New(a.options(nil)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestLogin_jwtBearer(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	eight, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"PKCS 1": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, "PKCS 8": {Type: "PRIVATE KEY", Bytes: eight}} {
		a := newOrg(t, "", fake.Options{Key: &key.PublicKey})
		secret, err := json.Marshal(map[string]string{"client_id": fake.ID, "username": fake.Username, "private_key": string(pem.EncodeToMemory(block))})
		if err != nil {
			t.Fatal(err)
		}
		a.secret = string(secret)
		if f, _ := a.locate(conformance.Person(company.Ines)); f.Counts["contacts"] != 1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	a := newOrg(t, `"audience":"https://test.salesforce.com"`, fake.Options{Key: &key.PublicKey})
	a.secret = `{"client_id":"avow","username":"avow@example.test","private_key":"-----BEGIN hush"}`
	if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "hush") {
		t.Errorf("a key that is none: %v", err)
	}
	secret, err := json.Marshal(map[string]string{"client_id": fake.ID, "username": fake.Username, "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: eight}))})
	if err != nil {
		t.Fatal(err)
	}
	a.secret = string(secret)
	if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("another audience: %v", err)
	}
}

func TestLogin_badSecret(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	for _, secret := range []string{"", "{}", `{"client_id":"a"}`, `{"client_id":"a","username":"hush"}`, `{"client_id":"a","client_secret":"hush","username":"u","private_key":"k"}`} {
		a.secret = secret
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// The token goes to no host that is not Salesforce's, whatever the login says.
func TestLogin_instanceElsewhere(t *testing.T) {
	t.Parallel()
	for _, instance := range []string{"https://evil.test", "http://avow.my.salesforce.com", "https://avow.my.salesforce.com@evil.test", "/", "https://169.254.169.254"} {
		a := newOrg(t, "", fake.Options{Instance: instance})
		local := conformance.Local(a.Server)
		a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") != "" || r.URL.Host != "avow.my.salesforce.com" {
				t.Errorf("%s: %s is called", instance, r.URL.Host)
			}
			return local.RoundTrip(r)
		}))
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", instance, err)
		}
	}
	a := newOrg(t, "", fake.Options{Instance: "https://eu45.salesforce.com"})
	if f, _ := a.locate(conformance.Person(company.Ines)); f.Counts["contacts"] != 1 {
		t.Errorf("Salesforce's own host: %+v", f)
	}
}

// A session that has ended is begun anew, once for each call, with the secret as
// it is by now.
func TestLogin_invalidSessionID(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.SetSecret("a new secret")
	if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.Forbidden) {
		t.Errorf("the old secret: %v", err)
	}
	a.secret = `{"client_id":"avow","client_secret":"a new secret"}`
	if f, _ := a.locate(s); f.Counts["contacts"] != 1 {
		t.Errorf("%+v", f)
	}
	logins, local := 0, conformance.Local(a.Server)
	a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/services/oauth2/token" {
			logins++
		} else {
			a.Revoke()
		}
		return local.RoundTrip(r)
	}))
	if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "INVALID_SESSION_ID") || logins != 2 {
		t.Errorf("%d logins, %v", logins, err)
	}
}

// A day's calls that are spent: one answer is enough, and hours pass.
func TestLimit_requestLimitExceeded(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{Daily: 2})
	_, err := a.c.Locate(t.Context(), conformance.Person(company.Ines))
	after, ok := connector.RetryAfter(err)
	if !errs.Is(err, errs.Unavailable) || !ok || after < time.Hour || len(a.Calls()) != 3 {
		t.Errorf("%v after %v, %d calls", err, after, len(a.Calls()))
	}
}

// A row that somebody else works on is free after a moment.
func TestLimit_unableToLockRow(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.Change(func(d *fake.Data) { d.Locked = 2 })
	a.must(connector.Object, s)
	if n := fakekit.Count(a.Calls(), "PATCH /sobjects/{type}/{id}"); n != 4 {
		t.Errorf("%d calls", n)
	}
}

// Pages of HTML, a server that is down: the outcome is not known, nothing is
// taken for empty.
func TestVendorDown(t *testing.T) {
	t.Parallel()
	for _, f := range []fakekit.Failure{{Status: 503}, {Status: 503, HTML: true}, {Status: 429, HTML: true}, {Status: 200, HTML: true}} {
		a := newOrg(t, "", fake.Options{})
		a.c = a.connect(conformance.Local(a.Server))
		a.Fail(f)
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// The fake on this machine is the org's own host.
func TestLogin_local(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	server := httptest.NewServer(a.Server)
	defer server.Close()
	a.config = strings.Replace(settings, base, server.URL, 1) + `,"allow_local":true}`
	a.c = a.connect(nil)
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Export, s)
	a.must(connector.Erase, s)
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A version that the org has not got is no empty org.
func TestVersion(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"version":"67.0"`, fake.Options{})
	_, s := newOrg(t, "", fake.Options{}).locate(conformance.Person(company.Ines))
	a.c = a.connect(conformance.Local(a.Server))
	if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	if r, err := a.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}); err == nil {
		t.Errorf("%+v", r)
	}
}
