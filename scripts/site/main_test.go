package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/site"
)

// files describe the same stack in both ways that the tool reads.
func files(t *testing.T, env *awstest.Env) (local, outputs string) {
	t.Helper()
	write := func(name string, v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	names := map[string]string{"AUDIT_TABLE": "AuditTableName", "SITES_TABLE": "SitesTableName", "KEYS_TABLE": "KeysTableName", "TOKEN_SECRET_PREFIX": "TokenSecretPrefix"}
	tables, list := map[string]string{}, []map[string]string{}
	for name, output := range names {
		tables[name] = env.Getenv(name)
		list = append(list, map[string]string{"OutputKey": output, "OutputValue": env.Getenv(name)})
	}
	return write("stack.json", map[string]any{
		"endpoints": map[string]string{"dynamodb": env.URL, "secretsmanager": env.URL}, "tables": tables,
	}), write("outputs.json", list)
}

func TestTool(t *testing.T) { // not parallel: the tool sets the environment of the process
	env := awstest.New(t)
	local, outputs := files(t, env)
	sites, ring := dynamo.NewSites(env.Config, env.Getenv("SITES_TABLE")), dynamo.NewKeys(env.Config, env.Getenv("KEYS_TABLE"))
	for how, where := range map[string][]string{"local": {"-local", local}, "deployed": {"-outputs", outputs}} {
		t.Run(how, func(t *testing.T) {
			do := func(args ...string) string {
				t.Helper()
				var out strings.Builder
				if err := run(t.Context(), &out, append(append([]string{}, where...), args...)); err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				return out.String()
			}
			id := "shop-" + how
			made := do("create", "-name", "My shop", "-id", id, "-shards", "2")
			for class, text := range map[keys.Class]string{keys.Public: key(t, made, "public"), keys.Private: key(t, made, "private")} {
				found, ok, err := ring.Key(t.Context(), keys.Hash(text))
				if err != nil || !ok || found.Class != class || found.Site != id || len(text) != keys.Length {
					t.Errorf("%s key: %+v %v %v", class, found, ok, err)
				}
			}
			limited := key(t, do("key", "-site", id, "-class", "public", "-origins", "https://a.example,https://b.example"), "public")
			if found, _, _ := ring.Key(t.Context(), keys.Hash(limited)); len(found.Origins) != 2 {
				t.Errorf("origins %v", found.Origins)
			}
			officer := key(t, do("role-key", "-site", id, "-person", " Ada Lovelace ", "-role", "officer"), "officer")
			if found, _, _ := ring.Key(t.Context(), keys.Hash(officer)); found.Class != keys.Role || found.Rank != keys.Officer || found.Person != "Ada Lovelace" {
				t.Errorf("role key: %+v", found)
			}
			do("revoke", "-key", officer)
			do("revoke", "-key", limited)
			if found, _, _ := ring.Key(t.Context(), keys.Hash(limited)); !found.Revoked {
				t.Error("not revoked")
			}
			do("set", "-site", id, "-public-grants", "latest", "-backdate-days", "7")

			answer := do("token-key", "-site", id)
			m := regexp.MustCompile(`key id  (\S+)\nsecret  (\S+)`).FindStringSubmatch(answer)
			if m == nil {
				t.Fatal(answer)
			}
			text := strings.TrimSpace(do("token", "-site", id, "-key-id", m[1], "-secret", m[2], "-subject", "cust-1"))
			directory := site.NewDirectory(sites, secret.NewStore(env.Config), time.Now)
			s, err := directory.Site(t.Context(), id)
			if err != nil || s.Settings.PublicGrants != site.Latest || s.Settings.BackdateDays != 7 || s.Shards != 2 {
				t.Fatalf("%+v %v", s, err)
			}
			if state, err := directory.Policy(s).VerifyToken(t.Context(), text, "cust-1", time.Now()); err != nil || state != consent.TokenValid {
				t.Errorf("token %s %v", state, err)
			}
			do("revoke-token-key", "-site", id, "-key-id", m[1])
			do("revoke-token-key", "-site", id, "-key-id", m[1]) // again: nothing to do
			if s, err = sites.Site(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if state, err := directory.Policy(s).VerifyToken(t.Context(), text, "cust-1", time.Now()); err != nil || state != consent.TokenInvalid {
				t.Errorf("token of a revoked key: %s %v", state, err)
			}
			shown := do("show", "-site", id)
			if !strings.Contains(shown, "revoked=true") || !strings.Contains(shown, `revoked=true role=officer person="Ada Lovelace"`) || strings.Contains(shown, officer) || strings.Contains(shown, limited) || strings.Contains(shown, m[2]) {
				t.Errorf("show: %s", shown)
			}
		})
	}
}

func key(t *testing.T, text, class string) string {
	t.Helper()
	m := regexp.MustCompile(class + `\s+key (\w+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s key in %q", class, text)
	}
	return m[1]
}

func TestTool_refuses(t *testing.T) {
	env := awstest.New(t)
	local, _ := files(t, env)
	for name, tt := range map[string]struct {
		args string
		kind errs.Kind
	}{
		"a site id with #":        {"create -id a#b", errs.Invalid},
		"no shards":               {"create -shards 0", errs.Invalid},
		"a key of no site":        {"key -site none -class public", errs.NotFound},
		"an unknown class":        {"key -site shop -class role", errs.Invalid},
		"a role key of nobody":    {"role-key -site shop -role officer", errs.Invalid},
		"a role key of no role":   {"role-key -site shop -person Ada", errs.Invalid},
		"a role that is none":     {"role-key -site shop -person Ada -role root", errs.Invalid},
		"a role key of no site":   {"role-key -site none -person Ada -role viewer", errs.NotFound},
		"origins of private keys": {"key -site shop -class private -origins https://a.example", errs.Invalid},
		"an unknown key":          {"revoke -key " + strings.Repeat("x", keys.Length), errs.NotFound},
		"settings of no site":     {"set -site none", errs.NotFound},
		"settings out of range":   {"set -site shop -backdate-days 1000", errs.Invalid},
		"the same site twice":     {"create -id shop -name other", errs.Conflict},
		"an unknown command":      {"nonsense", errs.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			_ = run(t.Context(), &out, []string{"-local", local, "create", "-id", "shop", "-name", "Shop"})
			err := run(t.Context(), &out, append([]string{"-local", local}, strings.Fields(tt.args)...))
			if err == nil || errs.KindOf(err) != tt.kind {
				t.Errorf("error %v, want %s", err, tt.kind)
			}
		})
	}
	var out strings.Builder
	if err := run(t.Context(), &out, []string{"-local", "nowhere.json", "show"}); err == nil || !strings.Contains(fmt.Sprint(err), "make run") {
		t.Errorf("without a stack: %v", err)
	}
	if err := run(t.Context(), &out, []string{"help"}); err != nil || !strings.Contains(out.String(), "token-key") {
		t.Errorf("help: %v", err)
	}
}
