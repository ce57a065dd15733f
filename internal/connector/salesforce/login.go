package salesforce

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// assertionLife is how long an assertion is good for. Salesforce accepts three
// minutes at the most; clocks differ.
const assertionLife = 2 * time.Minute

// tokenRoute is where both logins go: the org's own My Domain.
var tokenRoute = kit.To("/services/oauth2/token")

// session is the login to an org, and the client of the instance that it names.
type session struct {
	system  string
	config  config
	options kit.Options
	door    *kit.Client // for the login
	secret  func(ctx context.Context) ([]byte, error)
	tokens  *kit.Tokens

	mu       sync.Mutex
	instance string      // where the last login has sent us
	api      *kit.Client // of that instance
}

func newSession(o kit.System, c config) (*session, error) {
	s := &session{system: o.Inventory.System, config: c, options: o.Kit, secret: o.Secret}
	s.options.System, s.options.AllowLocal, s.options.Now, s.options.Transport = o.Inventory.System, c.AllowLocal, o.Now, o.Transport
	s.options.Code, s.options.Codes, s.options.Pauses = code, codes, map[string]time.Duration{limitReached: longPause}
	door := s.options
	door.Base = strings.TrimSuffix(c.BaseURL, "/")
	var err error
	if s.door, err = kit.New(door); err != nil {
		return nil, err
	}
	s.tokens = kit.NewTokens(o.Now, s.login)
	return s, nil
}

// credentials are the secret of an org: a client secret, or a user and the key
// of the app's certificate.
type credentials struct {
	ID       string `json:"client_id"`
	Secret   string `json:"client_secret"`
	Username string `json:"username"`
	Key      string `json:"private_key"`
}

// login fetches a token; how long it is valid is not said. The secret is read
// anew each time, so that a replaced one works at once.
func (s *session) login(ctx context.Context) (string, time.Duration, error) {
	text, err := s.secret(ctx)
	if err != nil {
		return "", 0, err
	}
	form, err := s.form(text)
	if err != nil {
		return "", 0, err
	}
	a, err := s.door.Do(ctx, kit.Call{Method: http.MethodPost, Route: tokenRoute, Form: form, Repeatable: true})
	if err != nil {
		return "", 0, err
	}
	var granted struct {
		Token    string `json:"access_token"`
		Instance string `json:"instance_url"`
	}
	if err := a.JSON(&granted); err != nil {
		return "", 0, err
	}
	if granted.Token == "" {
		return "", 0, errs.New(errs.Internal, "%s POST %s: the answer has no token", s.system, tokenRoute)
	}
	if err := s.moveTo(granted.Instance); err != nil {
		return "", 0, err
	}
	return "Bearer " + granted.Token, 0, nil
}

func (s *session) form(secret []byte) (url.Values, error) {
	var own credentials
	if json.Unmarshal(secret, &own) != nil || own.ID == "" || (own.Secret == "") == (own.Key == "" || own.Username == "") {
		return nil, errs.New(errs.Forbidden, "system %q: the secret must be {\"client_id\": …, \"client_secret\": …} or {\"client_id\": …, \"username\": …, \"private_key\": …}", s.system)
	}
	if own.Key == "" {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {own.ID}, "client_secret": {own.Secret}}, nil
	}
	assertion, err := sign(own, s.config.Audience, s.options.Now())
	if err != nil { // its text might quote the key
		return nil, errs.New(errs.Forbidden, "system %q: private_key is no RSA key in PEM", s.system)
	}
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}, nil
}

var errKey = errors.New("no RSA key")

// sign makes the assertion of a JWT bearer login (RFC 7523), signed with RS256.
func sign(own credentials, audience string, now time.Time) (string, error) {
	key, err := rsaKey(own.Key)
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"iss": own.ID, "sub": own.Username, "aud": audience, "exp": now.Add(assertionLife).Unix()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// rsaKey reads a key in either of the forms that openssl writes.
func rsaKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errKey
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errKey
	}
	return key, nil
}

// moveTo takes the instance that a login names. The token goes to the org's own
// My Domain and to Salesforce's hosts, and nowhere else.
func (s *session) moveTo(instance string) error {
	if !trusted(instance, s.config.BaseURL) {
		return errs.New(errs.Internal, "%s POST %s: instance_url is no host of Salesforce: nothing was sent there", s.system, tokenRoute)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.api != nil && s.instance == instance {
		return nil
	}
	o := s.options
	o.Base = strings.TrimSuffix(instance, "/") + "/services/data/v" + s.config.Version
	o.Login = bound{s, instance}
	api, err := kit.New(o)
	if err != nil {
		return errs.New(errs.Internal, "%s POST %s: instance_url is no address", s.system, tokenRoute)
	}
	s.instance, s.api = instance, api
	return nil
}

// trusted reports whether a token may be sent to an instance.
func trusted(instance, base string) bool {
	u, err := url.Parse(instance)
	own, err2 := url.Parse(base)
	if err != nil || err2 != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" {
		return false
	}
	if u.Scheme == own.Scheme && strings.EqualFold(u.Host, own.Host) {
		return true
	}
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" && u.Port() == "" && (strings.HasSuffix(host, ".salesforce.com") || strings.HasSuffix(host, ".force.com"))
}

// client is the client of the instance, after a login if there was none.
func (s *session) client(ctx context.Context) (*kit.Client, error) {
	if _, err := s.tokens.Token(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.api, nil
}

// bound is the login of the client of one instance: a token that another
// instance has given is not sent to it.
type bound struct {
	s        *session
	instance string
}

// Token implements kit.Login.
func (b bound) Token(ctx context.Context) (string, error) {
	token, err := b.s.tokens.Token(ctx)
	if err != nil {
		return "", err
	}
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.s.instance != b.instance {
		return "", errs.New(errs.Unavailable, "%s: the org has moved to another instance", b.s.system)
	}
	return token, nil
}

// Renew implements kit.Login.
func (b bound) Renew(refused string) bool { return b.s.tokens.Renew(refused) }
