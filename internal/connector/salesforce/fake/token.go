package fake

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// Audience is whom an assertion must be for.
const Audience = "https://login.salesforce.com"

func refused(code, text string) (int, any) {
	return 400, map[string]string{"error": code, "error_description": text}
}

// token is the OAuth endpoint. Its errors are an object, not an array.
func (s *Server) token(r *http.Request) (int, any) {
	switch r.FormValue("grant_type") {
	case "client_credentials":
		if strings.HasPrefix(r.Host, "login.") || strings.HasPrefix(r.Host, "test.") {
			return refused("invalid_grant", "request not supported on this domain")
		}
		if r.FormValue("client_id") != ID || r.FormValue("client_secret") != s.secret {
			return refused("invalid_client", "invalid client credentials")
		}
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		if why := s.assertion(r.FormValue("assertion")); why != "" {
			return refused("invalid_grant", why)
		}
	default:
		return refused("unsupported_grant_type", "grant type not supported")
	}
	instance := s.o.Instance
	if instance == "" {
		instance = fakekit.Base(r)
	}
	return 200, map[string]any{
		"access_token": s.Grant(Session), "signature": "c2ln", "token_format": "opaque", "instance_url": instance, "id": instance + "/id/00D/005",
		"token_type": "Bearer", "issued_at": strconv.FormatInt(s.Time().UnixMilli(), 10),
	}
}

// assertion judges a JWT: signed by the key of the app's certificate, for this
// user, and good for three minutes at the most.
func (s *Server) assertion(text string) (why string) {
	parts := strings.Split(text, ".")
	if s.o.Key == nil || len(parts) != 3 {
		return "invalid assertion"
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(s.o.Key, crypto.SHA256, digest[:], signature) != nil {
		return "invalid assertion"
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			return "invalid assertion"
		}
	}
	left := time.Unix(claims.Exp, 0).Sub(s.Time())
	switch {
	case header.Alg != "RS256" || claims.Iss != ID:
		return "invalid assertion"
	case claims.Aud != Audience:
		return "audience is invalid"
	case claims.Sub != Username:
		return "user hasn't approved this consumer"
	case left <= 0 || left > 3*time.Minute:
		return "token expired"
	}
	return ""
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
