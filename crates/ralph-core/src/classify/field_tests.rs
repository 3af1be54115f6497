//! What other programs of the field print: schedulers of other years, shells, package managers, containers, compilers'
//! run times, frameworks. Each text is the class's own, or stays unknown.

use super::*;

fn label(text: &str) -> String {
    let logs = [LogText::from_bytes(
        "logs/job.err",
        Stream::Err,
        text.as_bytes(),
    )];
    let case = Case {
        logs: &logs,
        ..Case::default()
    };
    classify(&case).label()
}

/// In a program's last words, where `>>` stands in front of an exception.
fn text_of(row: &str) -> String {
    match row.strip_prefix(">> ") {
        Some(exception) => format!(
            "Traceback (most recent call last):\n  File \"/w/train.py\", line 8, in main\n    step()\n{exception}\n"
        ),
        None => format!("starting\n{row}\n"),
    }
}

#[track_caller]
fn all_are(class: &str, rows: &[&str]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, label(&text_of(row))))
        .filter(|(_, found)| found != class)
        .map(|(row, found)| format!("{found}: {row}"))
        .collect();
    assert!(wrong.is_empty(), "not {class}:\n{}", wrong.join("\n"));
}

#[test]
fn the_schedulers_own_words() {
    all_are(
        "host_oom_kill",
        &[
            "slurmstepd: error: Job 4711 exceeded memory limit (8400000 > 8388608), being killed",
            "slurmstepd: error: StepId=4711.batch exceeded memory limit (9.0G > 8.0G), being killed",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=4711.0. Some of the step tasks have been OOM Killed.",
            "srun: error: n12: task 3: Out Of Memory",
            "srun: error: n12: tasks 0-3: Out Of Memory",
        ],
    );
    all_are(
        "slurm_timeout",
        &[
            "slurmstepd: error: *** STEP 4711.0 ON n12 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
            "slurmstepd: error: *** JOB 4711 ON n12 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
            "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\nslurmstepd: error: *** STEP 4711.0 ON n12 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
        ],
    );
    all_are(
        "node_failure",
        &[
            "srun: error: Node failure on n12",
            "slurmstepd: error: *** JOB 4711 ON n12 CANCELLED AT 2026-01-01T00:00:00 DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
        ],
    );
    all_are(
        "account_partition",
        &[
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            "sbatch: error: invalid partition specified: gpuu",
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            "sbatch: error: Batch job submission failed: Invalid qos specification",
            "sbatch: error: Batch job submission failed: User's group not permitted to use this partition",
        ],
    );
    all_are(
        "scheduler_limit",
        &[
            "sbatch: error: AssocMaxSubmitJobLimit",
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        ],
    );
    all_are(
        "slurm_signal",
        &[
            "/var/spool/slurmd/job4711/slurm_script: line 31: 12345 Killed                  python train.py",
            "slurmstepd: error: *** STEP 4711.0 ON n12 CANCELLED AT 2026-01-01T00:00:00 DUE TO SIGNAL Terminated ***",
            ">> KeyboardInterrupt",
        ],
    );
}

#[test]
fn what_cannot_work_as_it_was_sent() {
    all_are(
        "shell_syntax",
        &[
            "/var/spool/slurmd/job4711/slurm_script: line 2: $'\\r': command not found",
            "/var/spool/slurmd/job4711/slurm_script: line 7: syntax error near unexpected token `done'",
            "/var/spool/slurmd/job4711/slurm_script: line 7: 3 + : syntax error: operand expected (error token is \"+ \")",
            "/var/spool/slurmd/job4711/slurm_script: 7: Syntax error: \"(\" unexpected",
            "/var/spool/slurmd/job4711/slurm_script: line 7: ${A-B}C}: bad substitution",
            "/var/spool/slurmd/job4711/slurm_script: 7: Bad substitution",
            "/var/spool/slurmd/job4711/slurm_script: line 9: conditional binary operator expected",
            "bash: ./run.sh: /bin/bash^M: bad interpreter: No such file or directory",
        ],
    );
    all_are(
        "cli_bad_arguments",
        &[
            "usage: train.py [-h]\ntrain.py: error: argument --model: invalid choice: 'x' (choose from 'a', 'b')",
            "Error: Invalid value for '--epochs': 'ten' is not a valid integer.",
            "Error: Missing argument 'CONFIG'.",
            "Error: No such command 'trian'.",
            "Error: No such option: --sede Did you mean --seed?",
            "train: invalid option -- 'z'",
            "FATAL Flags parsing error: Unknown command line flag 'lrr'. Did you mean: lr ?",
            "Could not override 'model.depht'.\nTo append to your config use +model.depht=4\nKey 'depht' is not in struct",
        ],
    );
    all_are(
        "script_missing",
        &[
            "python3: can't open file '/w/train.py': [Errno 2] No such file or directory",
            "Fatal error: cannot open file 'fit.R': No such file or directory",
            "Error: Unable to access jarfile sim.jar",
            "sbatch: error: Unable to open file jobs/q1.sbatch",
        ],
    );
    all_are(
        "git_missing_commit",
        &[
            "fatal: couldn't find remote ref 0476f2c",
            "error: pathspec 'exp/q12' did not match any file(s) known to git",
            "fatal: unable to read tree (0476f2c77a1b7ba34cbca427265771222e6e8e2d)",
        ],
    );
}

#[test]
fn environments_that_are_not_there() {
    all_are(
        "env_setup_failed",
        &[
            "CommandNotFoundError: Your shell has not been properly configured to use 'conda activate'.",
            "CondaError: Run 'conda init' before 'conda activate'",
            "/var/spool/slurmd/job4711/slurm_script: line 12: /home/u/venv/bin/activate: No such file or directory",
            "/var/spool/slurmd/job4711/slurm_script: line 12: /opt/conda/etc/profile.d/conda.sh: No such file or directory",
            "EnvironmentNameNotFound: Could not find conda environment: torch",
            "PackagesNotFoundError: The following packages are not available from current channels:",
            "critical libmamba Cannot activate, prefix does not exist at: '/home/u/envs/x'",
            "ERROR: Failed building wheel for flash-attn",
            "solver.c:3:10: fatal error: hdf5.h: No such file or directory\ncompilation terminated.\nmake: *** [Makefile:12: solver.o] Error 1",
            "solver.f90:3:8: Fatal Error: Cannot open module file 'hdf5.mod' for reading at (1): No such file or directory",
            "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'requirements.txt'",
            "error: externally-managed-environment",
            "  × No solution found when resolving dependencies:",
            "FATAL:   could not open image /home/u/torch.sif: failed to retrieve path for /home/u/torch.sif",
            "FATAL:   container creation failed: mount hook function failure",
            "slurmstepd: error: pyxis: failed to import docker image",
            "slurmstepd: error: pyxis: container start failed with error code: 1",
        ],
    );
    all_are(
        "env_module_unknown",
        &[
            "ModuleCmd_Load.c(213):ERROR:105: Unable to locate a modulefile for 'cuda/99'",
            "ERROR: Unable to locate a modulefile for 'cuda/99'",
            "Lmod has detected the following error: These module(s) or extension(s) exist but cannot be loaded as requested: \"cuda/99\"",
            "Lmod has detected the following error: Cannot load module \"hdf5\" without these module(s) loaded:",
        ],
    );
    all_are(
        "env_command_not_found",
        &[
            "/var/spool/slurmd/job4711/slurm_script: line 3: module: command not found",
            "/var/spool/slurmd/job4711/slurm_script: 3: uv: not found",
            "slurmstepd: error: execve(): torchrun: No such file or directory",
            "/usr/bin/env: 'python': No such file or directory",
            "zsh:1: command not found: nvcc",
        ],
    );
    all_are(
        "module_not_found",
        &[
            "Error in library(dplyr) : there is no package called 'dplyr'\nExecution halted",
            "ERROR: LoadError: ArgumentError: Package Flux not found in current path.",
            "Can't locate JSON/XS.pm in @INC (you may need to install the JSON::XS module)",
            ">> ModuleNotFoundError: No module named 'torch'",
            ">> ImportError: cannot import name 'Literal' from 'typing' (/usr/lib/python3.7/typing.py)",
            "/usr/bin/python3: No module named accelerate.commands",
            "/usr/bin/python3: Error while finding module specification for 'exp.train' (ModuleNotFoundError: No module named 'exp')",
        ],
    );
    all_are(
        "library_mismatch",
        &[
            ">> ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /home/u/x.so)",
            ">> OSError: libcudnn.so.8: cannot open shared object file: No such file or directory",
            ">> ImportError: /home/u/x.so: undefined symbol: _ZN3c105ErrorC2E",
            ">> ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject",
            ">> AssertionError: Torch not compiled with CUDA enabled",
            ">> RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
            ">> RuntimeError: CUDA error: no kernel image is available for execution on the device",
            ">> RuntimeError: Numpy is not available",
            "./solver: error while loading shared libraries: libmpi.so.40: cannot open shared object file: No such file or directory",
        ],
    );
    all_are(
        "git_access",
        &[
            "fatal: repository 'https://github.com/u/x.git/' not found",
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            "fatal: unable to access 'https://x/': The requested URL returned error: 403",
            "remote: HTTP Basic: Access denied",
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
        ],
    );
}

#[test]
fn storage_devices_and_the_network() {
    all_are(
        "filesystem_error",
        &[
            ">> OSError: [Errno 108] Cannot send after transport endpoint shutdown: '/scratch/x'",
            "cp: error reading 'x': Input/output error",
            "touch: cannot touch 'x': Read-only file system",
        ],
    );
    all_are(
        "disk_quota",
        &[
            ">> OSError: [Errno 28] No space left on device: '/tmp/x'",
            "mkdir: cannot create directory '/n/x': Disk quota exceeded",
            "slurmstepd: error: write: No space left on device",
        ],
    );
    all_are(
        "cuda_oom",
        &[
            "F external/xla: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
            ">> tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[64,1024]",
            ">> jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.",
            ">> cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,589,934,592 bytes",
            "terminate called after throwing an instance of 'thrust::system::system_error'\n  what():  cudaErrorMemoryAllocation: out of memory",
            ">> RuntimeError: CUDA error: out of memory",
            ">> ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
        ],
    );
    all_are(
        "cuda_driver_init",
        &[
            ">> RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that might have already set an error? Error 802: system not yet initialized",
            ">> RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment",
            ">> RuntimeError: No CUDA GPUs are available",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        ],
    );
    all_are(
        "cuda_illegal_access",
        &[
            ">> RuntimeError: CUDA error: an illegal instruction was encountered",
            ">> torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        ],
    );
    all_are(
        "nccl_watchdog",
        &[
            ">> torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled system error\nncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.",
            "[rank0]:[E1101 10:00:00.0 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5)",
        ],
    );
    all_are(
        "network",
        &[
            "ssh: connect to host github.com port 22: Connection timed out\nfatal: Could not read from remote repository.",
            "curl: (6) Could not resolve host: data.example.org",
            ">> requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded",
            ">> OSError: We couldn't connect to 'https://huggingface.co' to load this file",
            ">> urllib.error.URLError: <urlopen error [Errno 110] Connection timed out>",
            ">> requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.wandb.ai', port=443): Read timed out.",
        ],
    );
    all_are(
        "torchrun_port",
        &[
            ">> torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
        ],
    );
}

#[test]
fn programs_of_every_language() {
    all_are(
        "host_memory",
        &[
            "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
            "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space",
            "Error: cannot allocate vector of size 2.0 Gb\nExecution halted",
            "ERROR: LoadError: OutOfMemoryError()",
            ">> numpy.core._exceptions._ArrayMemoryError: Unable to allocate 12.0 GiB for an array",
            ">> RuntimeError: [enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
            ">> OSError: [Errno 12] Cannot allocate memory",
            ">> ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
            "bash: fork: Cannot allocate memory",
        ],
    );
    all_are(
        "crash_signal",
        &[
            "forrtl: severe (174): SIGSEGV, segmentation fault occurred",
            "Program received signal SIGSEGV: Segmentation fault - invalid memory reference.",
            "srun: error: n12: task 0: Segmentation fault (core dumped)",
            "double free or corruption (!prev)",
            "free(): invalid pointer",
            "*** stack smashing detected ***: terminated",
            "/var/spool/slurmd/job4711/slurm_script: line 9: 77 Illegal instruction     ./a.out",
            "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no input",
        ],
    );
    all_are(
        "loss_nan",
        &[
            "NaN detected, aborting",
            ">> FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.",
            ">> ValueError: Loss is NaN at step 3",
            ">> RuntimeError: Function 'MulBackward0' returned nan values in its 0th output.",
        ],
    );
    all_are(
        "py_shape_mismatch",
        &[
            ">> RuntimeError: Given groups=1, weight of size [64, 3, 7, 7], expected input[8, 1, 28, 28] to have 3 channels, but got 1 channels instead",
            ">> ValueError: shapes (3,4) and (5,6) not aligned: 4 (dim 1) != 5 (dim 0)",
            ">> ValueError: all the input array dimensions except for the concatenation axis must match exactly, but along dimension 1, the array at index 0 has size 3 and the array at index 1 has size 4",
            ">> TypeError: dot_general requires contracting dimensions to have the same shape, got (3,) and (4,).",
            ">> RuntimeError: shape '[2, 3]' is invalid for input of size 7",
            ">> ValueError: Target size (torch.Size([8])) must be the same as input size (torch.Size([8, 1]))",
            ">> RuntimeError: einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3",
        ],
    );
    all_are(
        "py_exception",
        &[
            ">> RuntimeError: CUDA error: device-side assert triggered",
            ">> IndexError: list index out of range",
            ">> json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            ">> RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
        ],
    );
    all_are(
        "program_error",
        &[
            "Error in fit(x) : object 'y' not found\nExecution halted",
            "Error: bad input file\nExecution halted",
            "ERROR: LoadError: UndefVarError: `x` not defined",
            "ERROR: BoundsError: attempt to access 3-element Vector{Int64}\nStacktrace:\n [1] main()",
            "thread 'main' (711) panicked at src/io.rs:12:5:\nempty grid",
            "panic: runtime error: index out of range [4] with length 4\n\ngoroutine 7 [running]:",
            "Exception in thread \"main\" java.lang.ArithmeticException: / by zero\n\tat A.main(A.java:3)",
            "Error using load\nbad header\n\nError in main (line 4)",
            "ERROR: Bond atoms missing (src/ntopo_bond_all.cpp:59)",
            "Fortran runtime error: Bad integer for item 2 in list input",
        ],
    );
    all_are(
        "unknown",
        &[
            // Only the first half of what a runtime prints: somebody caught it, or wrote it in a log.
            "ERROR: cannot reach the tracker",
            "Error in the third block: rebuilt",
            "panic: button pressed",
            "Unhandled Task ERROR: EOFError: read end of file\nStacktrace:\n [1] wait()",
            "srun: error: n12: task 0: Exited with exit code 1",
            "make: *** [Makefile:12: run] Error 1",
        ],
    );
}

/// What healthy programs print is no failure.
#[test]
fn what_only_sounds_bad() {
    all_are(
        "none",
        &[
            "git fetch failed once: Connection timed out, trying again\nJob completed at Tue Feb 24 13:02:39 EST 2026",
            "no checkpoint at runs/x/last.pt: No such file or directory, starting anew\nJob completed at Tue Feb 24 13:02:39 EST 2026",
            "WARNING: bitsandbytes: libcudart.so not found\nJob completed at Tue Feb 24 13:02:39 EST 2026",
            "retrying after ConnectionResetError\nJob completed at Tue Feb 24 13:02:39 EST 2026",
            "Using existing venv: bad substitution of names is fine\nJob completed at Tue Feb 24 13:02:39 EST 2026",
        ],
    );
}

/// Launchers and loggers wrap what the program said; the program's own exception is the one that counts.
#[test]
fn exceptions_in_the_words_of_launchers() {
    let frames = "Traceback (most recent call last):\n  File \"/w/train.py\", line 8, in <module>\n    main()\n";
    let ranked = |text: &str| -> String {
        text.lines()
            .map(|line| format!("[rank1]: {line}\n"))
            .collect()
    };
    let elastic = "E1101 10:00:00 4711 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1) local_rank: 0 (pid: 4712) of binary: /usr/bin/python\n";
    let child = |exception: &str| {
        format!(
            "{frames}{exception}\n{elastic}Traceback (most recent call last):\n  File \"/opt/bin/torchrun\", line 8, in <module>\n    sys.exit(main())\n  File \"/opt/lib/torch/distributed/launcher/api.py\", line 264, in launch_agent\n    raise ChildFailedError(\ntorch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n============\ntrain.py FAILED\n------------\nRoot Cause (first observed failure):\n[0]:\n  exitcode  : 1 (pid: 4712)\n"
        )
    };
    let shape = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)";
    let memory = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.";
    let cases = [
        ("py_shape_mismatch", ranked(&format!("{frames}{shape}"))),
        ("py_shape_mismatch", child(shape)),
        ("cuda_oom", child(memory)),
        ("cuda_oom", ranked(&format!("{frames}{memory}"))),
        (
            "py_file_not_found",
            format!(
                "Error executing job with overrides: ['lr=1']\n{frames}FileNotFoundError: [Errno 2] No such file or directory: 'd.npy'\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
            ),
        ),
        (
            "py_shape_mismatch",
            format!(
                "{frames}{shape}\n{frames}subprocess.CalledProcessError: Command '['/usr/bin/python', 'train.py']' returned non-zero exit status 1.\n"
            ),
        ),
        (
            "py_exception",
            format!(
                "{frames}KeyError: 'x'\n\nThe above exception was the direct cause of the following exception:\n\n{frames}RuntimeError: bad batch\n"
            ),
        ),
        (
            "py_shape_mismatch",
            format!(
                "2026-01-01 10:00:00,000 ERROR train failed\n{frames}{shape}\nwandb: Run history:\nwandb: loss 0.1\nwandb: Synced 5 W&B file(s)\n"
            ),
        ),
        (
            "py_shape_mismatch",
            format!("0: {}", format!("{frames}{shape}\n").replace('\n', "\n0: ")),
        ),
        (
            "module_not_found",
            format!(
                "{frames}ModuleNotFoundError: No module named 'x'\nsrun: error: n12: task 0: Exited with exit code 1\nsrun: Terminating StepId=4711.0\nslurmstepd: error: *** STEP 4711.0 ON n12 CANCELLED AT 2026-01-01T00:00:00 ***\n"
            ),
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(class, text)| (class, label(text), text))
        .filter(|(class, found, _)| *class != found)
        .map(|(class, found, text)| format!("{found} instead of {class}:\n{text}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
