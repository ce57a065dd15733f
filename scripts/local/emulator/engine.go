package emulator

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

//go:embed engine.py
var engineScript string

// An Engine is a running engine of Step Functions. It keeps nothing across
// restarts.
type Engine struct{ process }

// EngineOptions say how an engine runs.
type EngineOptions struct {
	Venv Venv
	// Port is taken when it is free; 0, or one that is taken, means any.
	Port int
	// Edge is the port on 127.0.0.1 where the engine finds all services that
	// tasks call, itself among them.
	Edge int
}

// StartEngine runs an engine on 127.0.0.1 and waits until it answers, which
// takes about a second.
func StartEngine(ctx context.Context, o EngineOptions) (*Engine, error) {
	for attempt := 1; ; attempt++ {
		port, err := freePort(o.Port)
		if err != nil {
			return nil, err
		}
		e, err := launchEngine(ctx, o, port)
		if err == nil {
			return e, nil
		}
		// Between the choice of the port and its use another process may take it.
		if attempt == 3 || ctx.Err() != nil {
			return nil, err
		}
		o.Port = 0
	}
}

func launchEngine(ctx context.Context, o EngineOptions, port int) (*Engine, error) {
	work, err := os.MkdirTemp("", "avow-engine-")
	if err != nil {
		return nil, err
	}
	e := &Engine{process{port: port, work: work}}
	name := "avow-" + rand.Text()
	err = e.run(o.Venv.Python(), engineScript, []string{
		"ENGINE_NAME=" + name, "ENGINE_PORT=" + strconv.Itoa(port),
		"MOTO_PORT=" + strconv.Itoa(o.Edge), "MOTO_ACCOUNT_ID=" + cfn.Account,
		"AWS_DEFAULT_REGION=" + cfn.Region, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
	})
	if err != nil {
		return nil, fmt.Errorf("starting the Step Functions engine: %w", err)
	}
	if err := e.await(ctx, name, serverName); err != nil {
		log := e.log()
		e.Kill()
		return nil, fmt.Errorf("starting the Step Functions engine on port %d: %w%s", port, err, log)
	}
	return e, nil
}

// serverName is by what name a server answers.
func serverName(ctx context.Context, client *http.Client, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/", nil)
	if err != nil {
		return ""
	}
	res, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	return res.Header.Get("Server")
}
