// Package emulator runs ministack, the emulator of DynamoDB and its streams,
// S3, SQS and Secrets Manager, for the local stack and for tests, and creates in
// it what the template declares. It also looks after the Python environment
// that ministack and the SAM translator live in.
package emulator

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

//go:embed launch.py
var launchScript string

// Options say how an emulator runs.
type Options struct {
	Venv Venv
	// Port is taken when it is free; 0, or one that is taken, means any.
	Port int
	// State is the directory that keeps everything across restarts. Empty: in
	// memory, and gone at the end.
	State string
	// Out is told when something takes long. Nil: nobody.
	Out io.Writer
}

// A Server is a running emulator.
type Server struct {
	process
	state string
}

// Start runs an emulator on 127.0.0.1 and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	var lock *os.File
	if o.State != "" {
		var err error
		if o.State, err = filepath.Abs(o.State); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(o.State, 0o700); err != nil { // secrets and persons are in it
			return nil, err
		}
		// Whoever wrote the state last must have finished: the emulator holds
		// this lock itself, so it is held while an emulator saves whose parent
		// was killed.
		lock, err = awaitLock(ctx, filepath.Join(o.State, "lock"), func(pid string) {
			fmt.Fprintf(o.Out, "Waiting for the emulator of an earlier run (process %s) to save its state …\n", pid)
		})
		if err != nil {
			return nil, err
		}
		defer lock.Close()
	}
	for attempt := 1; ; attempt++ {
		port, err := freePort(o.Port)
		if err != nil {
			return nil, err
		}
		s, err := launch(ctx, o, port, lock)
		if err == nil {
			return s, nil
		}
		// Between the choice of the port and its use another process may take it.
		if attempt == 3 || ctx.Err() != nil {
			return nil, err
		}
		o.Port = 0
	}
}

func launch(ctx context.Context, o Options, port int, lock *os.File) (*Server, error) {
	work, err := workDir(o.State)
	if err != nil {
		return nil, err
	}
	s := &Server{process: process{port: port, work: work, kept: o.State != ""}, state: o.State}
	name := "avow-" + rand.Text()
	var inherited []*os.File
	if lock != nil {
		inherited = append(inherited, lock)
	}
	if err := s.run(o.Venv.Python(), launchScript, s.environment(name), inherited...); err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	if lock != nil {
		if err := errors.Join(lock.Truncate(0), writeAt(lock, strconv.Itoa(s.cmd.Process.Pid)+"\n")); err != nil {
			s.Kill()
			return nil, err
		}
	}
	if err := s.await(ctx, name, edition); err != nil {
		log := s.log()
		s.Kill()
		return nil, fmt.Errorf("starting the emulator on port %d: %w%s", port, err, log)
	}
	return s, nil
}

// workDir is for the emulator's log and temporary files. It stays, to be looked
// at, where there is a state; otherwise it goes with the emulator.
func workDir(state string) (string, error) {
	if state == "" {
		return os.MkdirTemp("", "avow-emulator-")
	}
	work := filepath.Join(state, "emulator")
	return work, errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755))
}

func writeAt(f *os.File, content string) error {
	_, err := f.WriteAt([]byte(content), 0)
	return err
}

// environment is what the emulator sees: nothing of the user's AWS settings, of other emulators' settings, or of Docker, whose containers it
// would tidy up.
func (s *Server) environment(name string) []string {
	env := []string{
		"BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + strconv.Itoa(s.port),
		"MINISTACK_REGION=" + cfn.Region, "MINISTACK_ACCOUNT_ID=" + cfn.Account, "MINISTACK_EDITION=" + name,
		"IOT_MTLS_ENABLED=0", "SFTP_ENABLED=0", "LOG_LEVEL=WARNING",
		"DOCKER_HOST=unix://" + filepath.Join(s.work, "no-docker"),
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", // presigned addresses are checked against them
	}
	if s.state != "" {
		env = append(env,
			"PERSIST_STATE=1", "STATE_DIR="+filepath.Join(s.state, "services"),
			"S3_PERSIST=1", "S3_DATA_DIR="+filepath.Join(s.state, "s3"))
	}
	return env
}

func edition(ctx context.Context, client *http.Client, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_ministack/health", nil)
	if err != nil {
		return ""
	}
	res, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var health struct{ Edition string }
	if json.NewDecoder(res.Body).Decode(&health) != nil {
		return ""
	}
	return health.Edition
}

// Stop ends the emulator and waits until it has saved its state. The end of ctx
// kills it.
func (s *Server) Stop(ctx context.Context) error {
	defer s.discard()
	asked := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the emulator: %w", err)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("the emulator was killed before it had saved its state: %w", context.Cause(ctx))
	}
	if s.state == "" {
		return nil
	}
	// It reports trouble with saving only in its log.
	saved, err := os.Stat(filepath.Join(s.state, "services", "dynamodb.json"))
	if err != nil || saved.ModTime().Before(asked.Add(-time.Second)) {
		return fmt.Errorf("the emulator ended without saving its state%s", s.log())
	}
	return nil
}

// freePort gives the wanted port when nobody listens there, else any free one.
func freePort(wanted int) (int, error) {
	for _, port := range []int{wanted, 0} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// Environment is what a process needs to find the emulator with the AWS SDK,
// and nothing of the user's own AWS settings. An empty value means: unset.
func Environment(url string) map[string]string {
	env := map[string]string{
		"AWS_REGION": cfn.Region, "AWS_DEFAULT_REGION": cfn.Region,
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "",
		"AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_USE_FIPS_ENDPOINT": "", "AWS_USE_DUALSTACK_ENDPOINT": "", "AWS_CA_BUNDLE": "",
		"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	}
	for _, service := range Services {
		env["AWS_ENDPOINT_URL_"+service] = url
	}
	return env
}

// Services are the ones that code may call, as the SDK's AWS_ENDPOINT_URL_…
// variables name them.
var Services = []string{"DYNAMODB", "DYNAMODB_STREAMS", "KMS", "S3", "SECRETS_MANAGER", "SESV2", "SFN", "SQS"}

// SetEnvironment gives this process the Environment of url.
func SetEnvironment(url string) error {
	var errs []error
	for name, value := range Environment(url) {
		if value == "" {
			errs = append(errs, os.Unsetenv(name))
		} else {
			errs = append(errs, os.Setenv(name, value))
		}
	}
	return errors.Join(errs...)
}

// Config is the SDK's configuration for the emulator at url, for code that does
// not read it from the environment.
func Config(url string) aws.Config {
	return aws.Config{
		Region:       cfn.Region,
		BaseEndpoint: aws.String(url),
		Logger:       logging.Nop{}, // the terminal is for people
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	}
}
